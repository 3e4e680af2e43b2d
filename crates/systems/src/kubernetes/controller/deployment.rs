//! Deployments and their autoscalers: as many pods as they want, and what became of them.

use serde_json::{Value, json};

use super::super::api::place;
use super::kinds::{AUTOSCALERS, DEPLOYMENTS, PODS};
use super::{Mode, Shared, settled, status};

pub async fn round(shared: &Shared) {
    for scaler in shared.world.of(AUTOSCALERS) {
        scale(shared, &scaler).await;
    }
    let pods = shared.world.of(PODS);
    for deployment in shared.world.of(DEPLOYMENTS) {
        if !shared.waits(&deployment) {
            let own: Vec<_> = pods.iter().filter(|pod| status::owned(pod, &deployment)).collect();
            replicate(shared, &deployment, &own).await;
            report(shared, &deployment, &own).await;
        }
    }
}

/// As an autoscaler does that has no metrics: it keeps to its bounds.
async fn scale(shared: &Shared, scaler: &Value) {
    let (namespace, _) = place(scaler);
    let target = scaler["spec"]["scaleTargetRef"]["name"].as_str().unwrap_or_default();
    let Some(deployment) = shared.world.get(DEPLOYMENTS, namespace, target) else { return };
    let least = scaler["spec"]["minReplicas"].as_i64().unwrap_or(1);
    let most = scaler["spec"]["maxReplicas"].as_i64().unwrap_or(1);
    let now = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let right = now.clamp(least, most.max(least));
    if now != 0 && right != now {
        let patch = json!({"spec": {"replicas": right}});
        settled(shared.api.merge(DEPLOYMENTS, &deployment, &patch).await);
    }
}

async fn replicate(shared: &Shared, deployment: &Value, pods: &[&Value]) {
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let (namespace, name) = place(deployment);
    let template = &deployment["spec"]["template"];
    let hash = template.to_string().bytes().fold(0_u32, |h, b| h.wrapping_mul(31) + u32::from(b));
    let hash = format!("{hash:x}");
    for number in 0..wanted {
        let pod = format!("{name}-{hash}-{number}");
        if pods.iter().any(|own| own["metadata"]["name"] == *pod) {
            continue;
        }
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"],
            "spec": template["spec"],
        });
        object["metadata"]["name"] = json!(pod);
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["ownerReferences"] = status::owner(DEPLOYMENTS, deployment);
        settled(shared.api.create(PODS, &object).await);
    }
    for own in pods {
        let own_name = own["metadata"]["name"].as_str().unwrap_or_default();
        let wanted = (0..wanted).any(|number| own_name == format!("{name}-{hash}-{number}"));
        if !wanted && own["metadata"]["deletionTimestamp"].is_null() {
            settled(shared.api.delete(PODS, own, false).await);
        }
    }
}

async fn report(shared: &Shared, deployment: &Value, pods: &[&Value]) {
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let mut ready = pods.iter().filter(|pod| status::is_ready(pod)).count() as u64;
    if let Some(Mode::Flapping(each)) = shared.mode(place(deployment).1)
        && let Some(age) = status::age(deployment)
    {
        let turn = age.as_millis() / each.as_millis().max(1);
        ready *= u64::from(turn >= 20 || turn % 2 == 1);
    }
    let mut after = deployment["status"].clone();
    after["observedGeneration"] = deployment["metadata"]["generation"].clone();
    for (field, number) in [
        ("replicas", pods.len() as u64),
        ("updatedReplicas", pods.len() as u64),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", wanted.saturating_sub(ready)),
    ] {
        after[field] = json!(number);
    }
    let unavailable = "Deployment does not have minimum availability.";
    match ready >= wanted {
        true => status::set(
            &mut after,
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        false => {
            let reason = "MinimumReplicasUnavailable";
            status::set(&mut after, "Available", "False", reason, unavailable);
        }
    }
    let name = place(deployment).1;
    let limit = deployment["spec"]["progressDeadlineSeconds"].as_u64().unwrap_or(600);
    let late = status::age(deployment).is_some_and(|age| age.as_secs() > limit);
    let (is, reason, message) = match ready >= wanted {
        true => ("True", "NewReplicaSetAvailable", "has successfully progressed."),
        false if late => ("False", "ProgressDeadlineExceeded", "has timed out progressing."),
        false => ("True", "ReplicaSetUpdated", "is progressing."),
    };
    let message = format!("ReplicaSet \"{name}\" {message}");
    status::set(&mut after, "Progressing", is, reason, &message);
    if same(&after, &deployment["status"]) {
        return;
    }
    let mut object = deployment.clone();
    object["status"] = after;
    settled(shared.api.replace_status(DEPLOYMENTS, &object).await);
}

/// The server leaves out numbers that are 0.
fn same(after: &Value, before: &Value) -> bool {
    let after = after.as_object().into_iter().flatten();
    after
        .into_iter()
        .all(|(key, value)| before[key] == *value || (*value == json!(0) && before[key].is_null()))
}

//! Knative Serving: a Service is a Configuration and a Route, a Configuration's generations are
//! Revisions, a Revision is a Deployment; and each tells how it is in the conditions it has there.
//! Revisions that nobody calls have no pods.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::api::place;
use super::kinds::{CONFIGURATIONS, DEPLOYMENTS, KNATIVE_SERVICES, PODS, REVISIONS, ROUTES};
use super::{Mode, Shared, ensure, report, settled, status};

/// The domain of all routes.
pub const DOMAIN: &str = "example.com";
const REVISION: &str = "serving.knative.dev/revision";

pub async fn round(shared: &Shared) {
    for service in shared.world.of(KNATIVE_SERVICES) {
        of_service(shared, &service).await;
    }
    for configuration in shared.world.of(CONFIGURATIONS) {
        of_configuration(shared, &configuration).await;
    }
    for revision in shared.world.of(REVISIONS) {
        of_revision(shared, &revision).await;
    }
    for route in shared.world.of(ROUTES) {
        of_route(shared, &route).await;
    }
}

async fn of_service(shared: &Shared, service: &Value) {
    let (namespace, name) = place(service);
    if shared.waits(service) {
        return;
    }
    let owner = status::owner(KNATIVE_SERVICES, service);
    let labels = json!({"serving.knative.dev/service": name});
    let metadata = json!({
        "name": name, "namespace": namespace, "labels": labels, "ownerReferences": owner,
    });
    let configuration = json!({
        "apiVersion": CONFIGURATIONS.version, "kind": CONFIGURATIONS.name, "metadata": metadata,
        "spec": {"template": service["spec"]["template"]},
    });
    ensure(shared, CONFIGURATIONS, configuration, "spec").await;
    let latest = json!([{"configurationName": name, "latestRevision": true, "percent": 100}]);
    let traffic = match service["spec"]["traffic"].as_array() {
        Some(wanted) => wanted.iter().map(|target| of_target(target, name)).collect(),
        None => latest,
    };
    let route = json!({
        "apiVersion": ROUTES.version, "kind": ROUTES.name, "metadata": metadata,
        "spec": {"traffic": traffic},
    });
    ensure(shared, ROUTES, route, "spec").await;
    let configuration = shared.world.get(CONFIGURATIONS, namespace, name).unwrap_or_default();
    let route = shared.world.get(ROUTES, namespace, name).unwrap_or_default();
    let mut after = service["status"].clone();
    after["observedGeneration"] = service["metadata"]["generation"].clone();
    for (of, fields) in [
        (&configuration, &["latestCreatedRevisionName", "latestReadyRevisionName"][..]),
        (&route, &["url", "address", "traffic"][..]),
    ] {
        for field in fields {
            if !of["status"][field].is_null() {
                after[field] = of["status"][field].clone();
            }
        }
    }
    let parts = [("ConfigurationsReady", status::get(&configuration, "Ready"))];
    let parts = [&parts[..], &[("RoutesReady", status::get(&route, "Ready"))]].concat();
    sum(&mut after, &parts);
    if let Some(Mode::Flapping(each)) = shared.mode(name)
        && let Some(age) = status::age(service)
        && status::is(&after, "Ready") == "True"
    {
        let turn = age.as_millis() / each.as_millis().max(1);
        if turn < 20 && turn % 2 == 0 {
            let text = "Revision failed with message: the test wants it to flap.";
            status::set(&mut after, "ConfigurationsReady", "False", "RevisionFailed", text);
            status::set(&mut after, "Ready", "False", "RevisionFailed", text);
        }
    }
    report(shared, KNATIVE_SERVICES, service, after).await;
}

/// A target of a Service, as its Route has it.
fn of_target(target: &Value, configuration: &str) -> Value {
    let mut target = target.clone();
    if target["revisionName"].is_null() {
        target["configurationName"] = json!(configuration);
    }
    target
}

/// Ready: true when all parts are, false when one is, else unknown.
pub fn sum(after: &mut Value, parts: &[(&str, (String, String, String))]) {
    for (kind, (is, reason, message)) in parts {
        status::set(after, kind, is, reason, message);
    }
    let first = |wanted: &str| parts.iter().find(|(_, (is, _, _))| is == wanted);
    match first("False").or_else(|| first("Unknown")) {
        Some((_, (is, reason, message))) => status::set(after, "Ready", is, reason, message),
        None => status::set(after, "Ready", "True", "", ""),
    }
}

async fn of_configuration(shared: &Shared, configuration: &Value) {
    let (namespace, name) = place(configuration);
    let generation = configuration["metadata"]["generation"].as_u64().unwrap_or(1);
    let revision = format!("{name}-{generation:05}");
    let template = &configuration["spec"]["template"];
    let mut metadata = match template["metadata"].is_object() {
        true => template["metadata"].clone(),
        false => json!({}),
    };
    metadata["name"] = json!(revision);
    metadata["namespace"] = json!(namespace);
    metadata["labels"]["serving.knative.dev/configuration"] = json!(name);
    metadata["ownerReferences"] = status::owner(CONFIGURATIONS, configuration);
    let object = json!({
        "apiVersion": REVISIONS.version, "kind": REVISIONS.name, "metadata": metadata,
        "spec": template["spec"],
    });
    ensure(shared, REVISIONS, object, "").await;
    let made = shared.world.get(REVISIONS, namespace, &revision).unwrap_or_default();
    let mut after = configuration["status"].clone();
    after["observedGeneration"] = json!(generation);
    after["latestCreatedRevisionName"] = json!(revision);
    match status::get(&made, "Ready") {
        (is, _, _) if is == "True" => {
            after["latestReadyRevisionName"] = json!(revision);
            status::set(&mut after, "Ready", "True", "", "");
        }
        (is, _, message) if is == "False" => {
            let text = format!("Revision \"{revision}\" failed with message: {message}.");
            status::set(&mut after, "Ready", "False", "RevisionFailed", &text);
        }
        (_, reason, message) => status::set(&mut after, "Ready", "Unknown", &reason, &message),
    }
    report(shared, CONFIGURATIONS, configuration, after).await;
}

/// Pods a revision shall have now.
fn wanted(shared: &Shared, revision: &Value) -> u64 {
    let annotations = &revision["metadata"]["annotations"];
    let least = annotations["autoscaling.knative.dev/min-scale"].as_str();
    let least = least.and_then(|text| text.parse().ok()).unwrap_or(0);
    let keep = annotations["autoscaling.knative.dev/scale-to-zero-pod-retention-period"].as_str();
    let keep = keep.and_then(|text| text.trim_end_matches('s').parse().ok()).unwrap_or(60);
    let name = place(revision).1;
    let was_ready = status::get(revision, "Ready").0 == "True";
    let used = shared.used_within(name, Duration::from_secs(keep));
    least.max(u64::from(!was_ready || used))
}

async fn of_revision(shared: &Shared, revision: &Value) {
    let (namespace, name) = place(revision);
    let wanted = wanted(shared, revision);
    let deployment_name = format!("{name}-deployment");
    let mut labels = revision["metadata"]["labels"].clone();
    labels[REVISION] = json!(name);
    let mut spec = revision["spec"].clone();
    // A route's longest time is a pod's time to end.
    spec["terminationGracePeriodSeconds"] = spec["timeoutSeconds"].take();
    for ours in ["containerConcurrency", "timeoutSeconds"] {
        spec.as_object_mut().map(|spec| spec.remove(ours));
    }
    let deployment = json!({
        "apiVersion": DEPLOYMENTS.version, "kind": DEPLOYMENTS.name,
        "metadata": {
            "name": deployment_name, "namespace": namespace, "labels": labels,
            "ownerReferences": status::owner(REVISIONS, revision),
        },
        "spec": {
            "replicas": wanted, "selector": {"matchLabels": {REVISION: name}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    });
    ensure(shared, DEPLOYMENTS, deployment, "").await;
    let Some(made) = shared.world.get(DEPLOYMENTS, namespace, &deployment_name) else { return };
    if made["spec"]["replicas"].as_u64() != Some(wanted) {
        let patch = json!({"spec": {"replicas": wanted}});
        settled(shared.api.merge(DEPLOYMENTS, &made, &patch).await);
    }
    let pods = shared.pods_of(REVISION, name);
    let mut after = revision["status"].clone();
    after["observedGeneration"] = revision["metadata"]["generation"].clone();
    after["desiredReplicas"] = json!(wanted);
    after["actualReplicas"] = json!(pods.iter().filter(|pod| status::is_ready(pod)).count());
    health(&mut after, &pods, revision);
    report(shared, REVISIONS, revision, after).await;
}

/// The conditions of a revision: of its resources, of its container, and of both.
fn health(after: &mut Value, pods: &[Value], revision: &Value) {
    let was_ready = status::get(revision, "Ready").0 == "True";
    if pods.iter().any(status::is_ready) || (was_ready && pods.is_empty()) {
        status::set(after, "Active", if pods.is_empty() { "False" } else { "True" }, "", "");
        let fine = ("True".to_owned(), String::new(), String::new());
        return sum(after, &[("ResourcesAvailable", fine.clone()), ("ContainerHealthy", fine)]);
    }
    let states = pods.iter().filter_map(|pod| pod["status"]["containerStatuses"].get(0));
    let mut resources = ("Unknown", "Deploying".to_owned(), String::new());
    let mut container = ("Unknown", "Deploying".to_owned(), String::new());
    for state in states {
        let (waiting, ended) = (&state["state"]["waiting"], &state["lastState"]["terminated"]);
        let reason = waiting["reason"].as_str().unwrap_or_default().to_owned();
        if ended.is_object() {
            let printed = ended["message"].as_str().unwrap_or_default();
            let code = ended["exitCode"].as_i64().unwrap_or(0);
            let text = format!("Container failed with: {printed}");
            container = ("False", format!("ExitCode{code}"), text);
        } else if reason.starts_with("ErrImage") || reason.starts_with("ImagePull") {
            let text = waiting["message"].as_str().unwrap_or_default();
            resources = ("False", reason, text.to_owned());
        }
    }
    if was_ready {
        // It scales up again.
        return;
    }
    let owned = |(is, reason, text): (&str, String, String)| (is.to_owned(), reason, text);
    let parts = [("ContainerHealthy", owned(container)), ("ResourcesAvailable", owned(resources))];
    sum(after, &parts);
}

async fn of_route(shared: &Shared, route: &Value) {
    let (namespace, name) = place(route);
    let mut after = route["status"].clone();
    after["observedGeneration"] = route["metadata"]["generation"].clone();
    after["url"] = json!(format!("http://{name}.{namespace}.{DOMAIN}"));
    after["address"] = json!({"url": format!("http://{name}.{namespace}.svc.cluster.local")});
    let mut missing = String::new();
    let mut traffic = Vec::new();
    for target in route["spec"]["traffic"].as_array().into_iter().flatten() {
        let mut target = target.clone();
        if let Some(configuration) = target["configurationName"].as_str().map(str::to_owned) {
            let of = shared.world.get(CONFIGURATIONS, namespace, &configuration);
            let ready = of.unwrap_or_default()["status"]["latestReadyRevisionName"].clone();
            if ready.is_null() {
                missing = configuration.clone();
            }
            target["revisionName"] = ready;
            target.as_object_mut().map(|target| target.remove("configurationName"));
        }
        traffic.push(target);
    }
    if missing.is_empty() {
        after["traffic"] = json!(traffic);
        status::set(&mut after, "AllTrafficAssigned", "True", "", "");
        status::set(&mut after, "IngressReady", "True", "", "");
        status::set(&mut after, "Ready", "True", "", "");
    } else {
        let of = shared.world.get(CONFIGURATIONS, namespace, &missing).unwrap_or_default();
        let (is, reason, text) = match status::get(&of, "Ready").0.as_str() {
            "False" => {
                let text = format!("Configuration \"{missing}\" does not have any ready Revision.");
                ("False", "RevisionMissing", text)
            }
            _ => {
                let text = format!(
                    "Configuration \"{missing}\" is waiting for a Revision to \
                                    become ready."
                );
                ("Unknown", "RevisionMissing", text)
            }
        };
        status::set(&mut after, "AllTrafficAssigned", is, reason, &text);
        status::set(&mut after, "Ready", is, reason, &text);
    }
    report(shared, ROUTES, route, after).await;
}

impl Shared {
    /// Pods with this label.
    pub fn pods_of(&self, label: &str, value: &str) -> Vec<Value> {
        let mut pods = self.world.of(PODS);
        pods.retain(|pod| pod["metadata"]["labels"][label] == *value);
        pods
    }
}

//! riff's deployers: of its core runtime, a Deployment and a Service; of its Knative runtime, a
//! Configuration and a Route.

use serde_json::{Value, json};

use super::super::api::place;
use super::kinds::{
    CONFIGURATIONS, CORE_DEPLOYERS, DEPLOYMENTS, INGRESSES, KNATIVE_DEPLOYERS, ROUTES, SERVICES,
};
use super::{Shared, ensure, knative, report, status};

const CORE_LABEL: &str = "core.projectriff.io/deployer";

pub async fn round(shared: &Shared) {
    for deployer in shared.world.of(CORE_DEPLOYERS) {
        core(shared, &deployer).await;
    }
    for deployer in shared.world.of(KNATIVE_DEPLOYERS) {
        knative_runtime(shared, &deployer).await;
    }
}

fn condition(is: &str) -> (String, String, String) {
    (is.to_owned(), String::new(), String::new())
}

async fn core(shared: &Shared, deployer: &Value) {
    let (namespace, name) = place(deployer);
    if shared.waits(deployer) {
        return;
    }
    let child = format!("{name}-deployer");
    let owner = status::owner(CORE_DEPLOYERS, deployer);
    let mut labels = deployer["metadata"]["labels"].clone();
    labels[CORE_LABEL] = json!(name);
    let metadata = |name: &str| {
        json!({
            "name": name, "namespace": namespace, "labels": labels, "ownerReferences": owner,
        })
    };
    let mut template = deployer["spec"]["template"].clone();
    template["metadata"]["labels"] = labels.clone();
    let port = template["spec"]["containers"][0]["ports"][0]["containerPort"].clone();
    let deployment = json!({
        "apiVersion": DEPLOYMENTS.version, "kind": DEPLOYMENTS.name, "metadata": metadata(&child),
        "spec": {"selector": {"matchLabels": {CORE_LABEL: name}}, "template": template},
    });
    ensure(shared, DEPLOYMENTS, deployment, "").await;
    let service = json!({
        "apiVersion": SERVICES.version, "kind": SERVICES.name, "metadata": metadata(name),
        "spec": {
            "ports": [{"name": "http1", "port": 80, "targetPort": port}],
            "selector": {CORE_LABEL: name},
        },
    });
    ensure(shared, SERVICES, service, "").await;
    let mut after = deployer["status"].clone();
    if deployer["spec"]["ingressPolicy"] == "External" {
        let host = format!("{name}.{namespace}.{}", knative::DOMAIN);
        let ingress = json!({
            "apiVersion": INGRESSES.version, "kind": INGRESSES.name, "metadata": metadata(&child),
            "spec": {"rules": [{"host": host, "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": name, "port": {"number": 80}}},
            }]}}]},
        });
        ensure(shared, INGRESSES, ingress, "").await;
        after["url"] = json!(format!("http://{host}"));
    }
    let made = shared.world.get(DEPLOYMENTS, namespace, &child).unwrap_or_default();
    after["observedGeneration"] = deployer["metadata"]["generation"].clone();
    after["address"] = json!({"url": format!("http://{name}.{namespace}.svc.cluster.local")});
    after["deploymentRef"] = json!({"apiGroup": "apps", "kind": "Deployment", "name": child});
    after["latestImage"] = deployer["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let (available, progress) =
        (status::get(&made, "Available"), status::get(&made, "Progressing"));
    let deployment = match (available.0.as_str(), progress.0.as_str()) {
        ("False", "True") => ("Unknown".to_owned(), progress.1, progress.2),
        _ => available,
    };
    let parts = [
        ("DeploymentReady", deployment),
        ("ServiceReady", condition("True")),
        ("IngressReady", condition("True")),
    ];
    knative::sum(&mut after, &parts);
    report(shared, CORE_DEPLOYERS, deployer, after).await;
}

async fn knative_runtime(shared: &Shared, deployer: &Value) {
    let (namespace, name) = place(deployer);
    if shared.waits(deployer) {
        return;
    }
    let metadata = json!({
        "name": name, "namespace": namespace,
        "labels": {"knative.projectriff.io/deployer": name},
        "ownerReferences": status::owner(KNATIVE_DEPLOYERS, deployer),
    });
    let mut template = deployer["spec"]["template"].clone();
    let scale = &deployer["spec"]["scale"];
    for (bound, key) in [("min", "min-scale"), ("max", "max-scale")] {
        if let Some(number) = scale[bound].as_u64() {
            let key = format!("autoscaling.knative.dev/{key}");
            template["metadata"]["annotations"][key] = json!(number.to_string());
        }
    }
    let concurrency = &deployer["spec"]["containerConcurrency"];
    if concurrency.is_number() {
        template["spec"]["containerConcurrency"] = concurrency.clone();
    }
    let configuration = json!({
        "apiVersion": CONFIGURATIONS.version, "kind": CONFIGURATIONS.name,
        "metadata": metadata, "spec": {"template": template},
    });
    ensure(shared, CONFIGURATIONS, configuration, "spec").await;
    let traffic = json!([{"configurationName": name, "latestRevision": true, "percent": 100}]);
    let route = json!({
        "apiVersion": ROUTES.version, "kind": ROUTES.name, "metadata": metadata,
        "spec": {"traffic": traffic},
    });
    ensure(shared, ROUTES, route, "spec").await;
    let configuration = shared.world.get(CONFIGURATIONS, namespace, name).unwrap_or_default();
    let route = shared.world.get(ROUTES, namespace, name).unwrap_or_default();
    let mut after = deployer["status"].clone();
    after["observedGeneration"] = deployer["metadata"]["generation"].clone();
    for field in ["url", "address"] {
        if !route["status"][field].is_null() {
            after[field] = route["status"][field].clone();
        }
    }
    let parts = [
        ("ConfigurationReady", status::get(&configuration, "Ready")),
        ("RouteReady", status::get(&route, "Ready")),
    ];
    knative::sum(&mut after, &parts);
    report(shared, KNATIVE_DEPLOYERS, deployer, after).await;
}

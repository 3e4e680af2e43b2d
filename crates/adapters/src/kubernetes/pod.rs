//! The pod of a deployment, and what its pods say of themselves.

use std::collections::BTreeMap;

use dispatch_driver::Deployment;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::settings::Options;
use crate::words;

/// Where a function's image listens.
pub const PORT: u16 = 8080;
/// Name of the one container.
pub const CONTAINER: &str = "function";
/// The label that says which deployment an object is of; its value is the object's name.
pub const DEPLOYMENT_LABEL: &str = "io.dispatch/deployment";
/// Added to the longest time of a call where a system ends what takes too long: the function's
/// own host ends it first, and says so.
const GRACE_SECONDS: u64 = 5;

/// What everything of a deployment is called.
pub fn name(id: Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

/// Name, labels and annotations of what is made for a deployment.
pub fn metadata(deployment: &Deployment) -> Value {
    let told = told(deployment);
    json!({"name": name(deployment.id), "labels": labels(deployment), "annotations": told})
}

/// For people, as it was written.
fn told(deployment: &Deployment) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("io.dispatch/organization", deployment.org.to_string()),
        ("io.dispatch/function", deployment.function.to_string()),
        ("io.dispatch/version", deployment.version.to_string()),
    ])
}

/// The same as far as a label's value may hold it.
pub fn labels(deployment: &Deployment) -> Map<String, Value> {
    let mut labels = Map::new();
    labels.insert("app.kubernetes.io/managed-by".to_owned(), json!("dispatch"));
    labels.insert(DEPLOYMENT_LABEL.to_owned(), json!(name(deployment.id)));
    for (key, value) in told(deployment) {
        labels.insert(key.to_owned(), json!(words::label(&value)));
    }
    labels
}

/// Longest time of a call as systems that count in seconds are told it.
pub fn timeout_seconds(deployment: &Deployment) -> u64 {
    deployment.timeout.as_millis().div_ceil(1_000) as u64 + GRACE_SECONDS
}

/// `spec` of the pod; `port` is left out where the system sets `PORT` itself.
pub fn spec(deployment: &Deployment, image: &str, options: &Options, port: bool) -> Value {
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "containers": [container(deployment, image, options, port)],
    });
    if let Some(account) = &options.service_account {
        spec["serviceAccountName"] = json!(account);
    }
    if !options.pull_secrets.is_empty() {
        let secrets = options.pull_secrets.iter().map(|name| json!({"name": name}));
        spec["imagePullSecrets"] = secrets.collect();
    }
    if !deployment.require.is_empty() {
        let prefix = &options.node_label_prefix;
        let labels = deployment.require.iter();
        let labels = labels.map(|(key, value)| (format!("{prefix}{key}"), json!(value)));
        spec["nodeSelector"] = Value::Object(labels.collect());
    }
    spec
}

fn container(deployment: &Deployment, image: &str, options: &Options, port: bool) -> Value {
    let memory = format!("{}Mi", deployment.memory_mib);
    let mut requests = json!({"memory": memory});
    if let Some(cpu) = &options.cpu {
        requests["cpu"] = json!(cpu);
    }
    json!({
        "name": CONTAINER,
        "image": image,
        "ports": [{"name": "http1", "containerPort": PORT}],
        "env": environment(deployment, port),
        "resources": {"limits": {"memory": memory}, "requests": requests},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}},
        // What a container printed before it ended stands in the pod's status then.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

fn environment(deployment: &Deployment, port: bool) -> Vec<Value> {
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &deployment.environment {
        all.insert(name, words::unexpanded(value));
    }
    all.insert("DISPATCH_CONCURRENCY", deployment.concurrency.max(1).to_string());
    if port {
        all.insert("PORT", PORT.to_string());
    } else {
        all.remove("PORT");
    }
    all.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// Why pods cannot serve, when one of them surely cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The container ended by itself: what it printed last.
    Ended(String),
    /// It never began: no image, no place, no permission.
    NotStarted(String),
}

/// What of the pods of a deployment keeps it from serving.
pub fn trouble(pods: &[Value]) -> Option<Trouble> {
    pods.iter().find_map(|pod| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let mut conditions = conditions.filter(|c| c["type"] == "PodScheduled");
        if let Some(placeless) = conditions.find(|c| c["reason"] == "Unschedulable") {
            let message = placeless["message"].as_str().unwrap_or_default();
            return Some(Trouble::NotStarted(format!("Unschedulable: {message}")));
        }
        let containers = pod["status"]["containerStatuses"].as_array()?;
        containers.iter().find_map(of_container)
    })
}

fn of_container(status: &Value) -> Option<Trouble> {
    let waiting = &status["state"]["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let message = waiting["message"].as_str().unwrap_or_default();
    let ended = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
    let ended = ended.into_iter().find(|state| state.is_object());
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError" => Some(Trouble::NotStarted(format!("{reason}: {message}"))),
        _ => ended.map(|ended| {
            let code = ended["exitCode"].as_i64().unwrap_or(0);
            let why = ended["reason"].as_str().unwrap_or("Error");
            let printed = ended["message"].as_str().unwrap_or_default().trim();
            Trouble::Ended(format!(
                "the container ended with exit status {code} ({why}): {printed}"
            ))
        }),
    }
}

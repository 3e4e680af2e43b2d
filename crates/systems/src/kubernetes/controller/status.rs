//! Conditions, as all of Kubernetes writes them.

use serde_json::{Value, json};

/// Now, as Kubernetes writes times.
pub fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Since when an object is there; `None` for what has no time.
pub fn age(object: &Value) -> Option<std::time::Duration> {
    let text = object["metadata"]["creationTimestamp"].as_str()?;
    let made = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    chrono::Utc::now().signed_duration_since(made).to_std().ok()
}

/// Sets a condition; its time changes only with its status.
pub fn set(status: &mut Value, kind: &str, is: &str, reason: &str, message: &str) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let all = status["conditions"].as_array_mut().expect("it was made so");
    let old = all.iter().position(|condition| condition["type"] == *kind);
    let since = match old {
        Some(at) if all[at]["status"] == *is => all[at]["lastTransitionTime"].clone(),
        _ => json!(now()),
    };
    let mut condition = json!({"type": kind, "status": is, "lastTransitionTime": since});
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    match old {
        Some(at) => all[at] = condition,
        None => all.push(condition),
    }
}

/// Status of a condition in what will be an object's status.
pub fn is(status: &Value, kind: &str) -> String {
    get(&json!({"status": status}), kind).0
}

/// Status, reason and message of a condition; `Unknown` where there is none.
pub fn get(object: &Value, kind: &str) -> (String, String, String) {
    let all = object["status"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|condition| condition["type"] == *kind);
    let text = |key: &str| {
        let text = found.and_then(|condition| condition[key].as_str());
        text.unwrap_or_default().to_owned()
    };
    let is = text("status");
    (if is.is_empty() { "Unknown".to_owned() } else { is }, text("reason"), text("message"))
}

/// Whether an object has this owner.
pub fn owned(object: &Value, owner: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|o| o["uid"] == owner["metadata"]["uid"])
}

/// The reference by which an object is owned.
pub fn owner(kind: super::super::api::Kind, owner: &Value) -> Value {
    json!([{
        "apiVersion": kind.version, "kind": kind.name, "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Whether labels have all that a selector asks for.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let all = selector.as_object();
    all.is_some_and(|all| !all.is_empty() && all.iter().all(|(key, value)| labels[key] == *value))
}

pub fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null() && get(pod, "Ready").0 == "True"
}

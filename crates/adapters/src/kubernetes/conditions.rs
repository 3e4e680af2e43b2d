//! Conditions as Knative and those after it write them: `Ready`, and the parts it is made of.

use dispatch_driver::Observed;
use serde_json::Value;

/// How an object is whose `Ready` is told by `parts`; the first that is false says why.
pub fn judge(object: &Value, parts: &[&str]) -> Observed {
    let status = &object["status"];
    let generation = object["metadata"]["generation"].as_i64();
    if status["observedGeneration"].as_i64() < generation {
        return Observed::Pending { message: "not seen by its controller yet".to_owned() };
    }
    let conditions = status["conditions"].as_array();
    let find =
        |kind: &str| conditions.into_iter().flatten().find(|condition| condition["type"] == *kind);
    let is = |condition: &Value, wanted: &str| condition["status"] == *wanted;
    let Some(ready) = find("Ready") else {
        return Observed::Pending { message: "its controller does not say yet".to_owned() };
    };
    if is(ready, "True") {
        return Observed::Ready { workers: 0 };
    }
    let state = if is(ready, "False") { "False" } else { "Unknown" };
    let part = parts.iter().filter_map(|part| find(part)).find(|part| is(part, state));
    let message = words(part.unwrap_or(ready));
    match state {
        "False" => Observed::Failed { message },
        _ => Observed::Pending { message },
    }
}

fn words(condition: &Value) -> String {
    let text = |key: &str| condition[key].as_str().unwrap_or_default();
    let all = [text("type"), text("reason"), text("message")];
    let all: Vec<&str> = all.into_iter().filter(|text| !text.is_empty()).collect();
    all.join(": ")
}

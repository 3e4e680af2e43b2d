//! What a resource is selected by and refers to, taken from its JSON.

use dispatch_model::{ResourceKind, Tags};
use serde_json::Value;

/// Fields of the spec or status one can select by; `secrets` and `rules` hold many values.
pub(crate) fn fields(kind: ResourceKind) -> &'static [&'static str] {
    match kind {
        ResourceKind::BaseImage => &["language"],
        ResourceKind::Image => &["base_image_name", "language"],
        ResourceKind::Function => &["image", "engine", "secrets"],
        ResourceKind::Api => &["function", "tls"],
        _ => &[],
    }
}

/// Which kinds refer to a kind, by which field.
pub(crate) fn references(kind: ResourceKind) -> &'static [(ResourceKind, &'static str)] {
    match kind {
        ResourceKind::BaseImage => &[(ResourceKind::Image, "base_image_name")],
        ResourceKind::Image => &[(ResourceKind::Function, "image")],
        ResourceKind::Function => &[(ResourceKind::Api, "function")],
        ResourceKind::Secret => &[(ResourceKind::Function, "secrets"), (ResourceKind::Api, "tls")],
        _ => &[],
    }
}

/// All labels of a resource: (label, value), without repeats.
pub(crate) fn labels(
    kind: ResourceKind,
    tags: &Tags,
    spec: &str,
    status: &str,
) -> serde_json::Result<Vec<(String, String)>> {
    let mut labels: Vec<_> =
        tags.iter().map(|(key, value)| (format!("tag:{key}"), value.clone())).collect();
    if !fields(kind).is_empty() {
        let spec: Value = serde_json::from_str(spec)?;
        let status: Value = serde_json::from_str(status)?;
        for field in fields(kind) {
            let given = match spec.get(*field) {
                None | Some(Value::Null) => status.get(*field),
                given => given,
            };
            match given {
                Some(Value::String(value)) => {
                    labels.push((format!("field:{field}"), value.clone()))
                }
                Some(Value::Array(values)) => {
                    let texts = values.iter().filter_map(Value::as_str);
                    labels.extend(texts.map(|v| (format!("field:{field}"), v.to_owned())));
                }
                _ => {}
            }
        }
    }
    labels.sort();
    labels.dedup();
    Ok(labels)
}

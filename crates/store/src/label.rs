//! What a resource is selected by and refers to, taken from its JSON.

use dispatch_model::{ResourceKind, Tags};
use serde_json::Value;

use crate::row::ResourceRow;

/// Fields of the spec or status one can select by; `secrets` and `rules` hold many values.
pub(crate) fn fields(kind: ResourceKind) -> &'static [&'static str] {
    match kind {
        ResourceKind::BaseImage => &["language", "secret", "digest"],
        ResourceKind::Image => &["base_image_name", "language", "digest"],
        ResourceKind::Function => &["image", "engine", "secrets", "digest", "image_digest"],
        ResourceKind::Api => &["function", "tls"],
        ResourceKind::Engine => &["engine_type", "secrets"],
        _ => &[],
    }
}

/// Which kinds refer to a kind, by which field.
pub(crate) fn references(kind: ResourceKind) -> &'static [(ResourceKind, &'static str)] {
    match kind {
        ResourceKind::BaseImage => &[(ResourceKind::Image, "base_image_name")],
        ResourceKind::Image => &[(ResourceKind::Function, "image")],
        ResourceKind::Function => &[(ResourceKind::Api, "function")],
        ResourceKind::Secret => &[
            (ResourceKind::Function, "secrets"),
            (ResourceKind::Api, "tls"),
            (ResourceKind::BaseImage, "secret"),
            (ResourceKind::Engine, "secrets"),
        ],
        _ => &[],
    }
}

/// The label of the state.
pub(crate) const STATE: &str = "state";
/// The label of the sources a function needs, by their digest.
const BLOB: &str = "blob";

pub(crate) fn tag(key: &str) -> String {
    format!("tag:{key}")
}

pub(crate) fn field(name: &str) -> String {
    format!("field:{name}")
}

/// All labels of a resource: (label, value), sorted, without repeats.
pub(crate) fn labels(
    kind: ResourceKind,
    tags: &Tags,
    row: &ResourceRow,
) -> serde_json::Result<Vec<(String, String)>> {
    let mut labels: Vec<_> = tags.iter().map(|(key, value)| (tag(key), value.clone())).collect();
    labels.push((STATE.to_owned(), row.state.clone()));
    if !fields(kind).is_empty() {
        let spec: Value = serde_json::from_str(&row.spec)?;
        let status: Value = serde_json::from_str(&row.status)?;
        for name in fields(kind) {
            // Of an engine both count: the one that is asked for, and the one it is on meanwhile.
            for given in [spec.get(*name), status.get(*name)] {
                match given {
                    Some(Value::String(value)) => labels.push((field(name), value.clone())),
                    Some(Value::Array(values)) => {
                        let texts = values.iter().filter_map(Value::as_str);
                        labels.extend(texts.map(|value| (field(name), value.to_owned())));
                    }
                    _ => {}
                }
            }
        }
        // An update that is being made, or that failed, goes on needing what serves.
        for spec in [Some(&spec), status.get("serving")].into_iter().flatten() {
            if let Some(Value::String(digest)) = spec.pointer("/source/digest") {
                labels.push((BLOB.to_owned(), digest.clone()));
            }
        }
    }
    labels.sort();
    labels.dedup();
    Ok(labels)
}

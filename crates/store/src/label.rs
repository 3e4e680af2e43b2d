//! What a resource is selected by and refers to, taken from its JSON.

use dispatch_model::function_version::FunctionReference;
use dispatch_model::policy::GROUP_PREFIX;
use dispatch_model::{ResourceKind, Tags};
use serde_json::Value;

use crate::row::ResourceRow;

/// Fields of the spec or status one can select by; some hold many values.
pub(crate) fn fields(kind: ResourceKind) -> &'static [&'static str] {
    match kind {
        ResourceKind::BaseImage => &["language", "secret", "digest"],
        ResourceKind::Image => &["base_image_name", "language", "digest"],
        ResourceKind::Function => &["image", "engine", "secrets", "digest", "image_digest", ON],
        ResourceKind::FunctionVersion => &["function"],
        ResourceKind::Api => &["function", "tls"],
        ResourceKind::Engine => &["engine_type", "secrets"],
        ResourceKind::Policy => &[ROLE, GROUP],
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
        ResourceKind::Role => &[(ResourceKind::Policy, ROLE)],
        ResourceKind::Group => &[(ResourceKind::Policy, GROUP)],
        _ => &[],
    }
}

/// The label of the state.
pub(crate) const STATE: &str = "state";
/// The label of the sources a function or one of its versions needs, by their digest.
const BLOB: &str = "blob";
/// The label of images that a version needs to run again, by their digest.
const KEPT: &str = "kept";

/// The fields by which policies are found whose rules name a role or a group.
const ROLE: &str = "role";
const GROUP: &str = "group";

/// The field by which functions are found that an engine holds something of, or may.
pub const ON: &str = "on";

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
                    Some(Value::String(value)) => {
                        labels.push((field(name), one(kind, name, value).to_owned()));
                    }
                    Some(Value::Array(values)) => {
                        let texts = values.iter().filter_map(Value::as_str);
                        labels.extend(texts.map(|value| (field(name), value.to_owned())));
                    }
                    _ => {}
                }
            }
        }
        let text = |at: &str| spec.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let (source, image) = match kind {
            ResourceKind::FunctionVersion => ("/spec/source/digest", text("/image_digest")),
            _ => ("/source/digest", None),
        };
        labels.extend(text(source).map(|digest| (BLOB.to_owned(), digest)));
        labels.extend(image.map(|digest| (KEPT.to_owned(), digest)));
        labels.extend(named_by_rules(&spec).map(|(name, value)| (field(name), value.to_owned())));
        for engine in engines(&status) {
            labels.extend(["engine", ON].map(|name| (field(name), engine.to_owned())));
        }
    }
    labels.sort();
    labels.dedup();
    Ok(labels)
}

/// An API may name a version of its function; what it refers to is the function.
fn one<'a>(kind: ResourceKind, field: &str, value: &'a str) -> &'a str {
    match (kind, field) {
        (ResourceKind::Api, "function") => FunctionReference::function_of(value),
        _ => value,
    }
}

/// The roles and groups that the rules of a policy name.
fn named_by_rules(spec: &Value) -> impl Iterator<Item = (&'static str, &str)> {
    let rules = spec.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules.flat_map(|rule| {
        let texts = |name: &str| {
            let list = rule.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str)
        };
        let groups = texts("subjects").filter_map(|subject| subject.strip_prefix(GROUP_PREFIX));
        texts("roles").map(|role| (ROLE, role)).chain(groups.map(|group| (GROUP, group)))
    })
}

/// The engines that hold something of a function, or may.
fn engines(status: &Value) -> impl Iterator<Item = &str> {
    let list = |name: &str| status.get(name).and_then(Value::as_array).into_iter().flatten();
    let there = list("deployments").filter_map(|deployed| deployed.get("engines")?.as_array());
    let leaving = list("retiring").filter_map(|retiring| retiring.get("engine"));
    there.flatten().chain(leaving).filter_map(Value::as_str)
}

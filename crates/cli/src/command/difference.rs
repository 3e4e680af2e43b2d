//! What a document would change on the server, for `apply --dry-run`.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::document::Document;

/// A unified diff of the fields the document names; none when all are so already.
pub fn of(there: Option<&Value>, document: &Document) -> Result<Option<String>> {
    let mut wanted = shown(&document.body);
    let mut old = String::new();
    if let Some(there) = there {
        let mut now = shown(there);
        // Fields the document does not name stay as they are.
        now.retain(|key, _| wanted.contains_key(key));
        // What is sent where nothing is, is nothing.
        wanted.retain(|key, value| now.contains_key(key) || !is_nothing(value));
        hide(now.get_mut("secrets"), None);
        old = serde_saphyr::to_string(&now)?;
    }
    hide(wanted.get_mut("secrets"), there.map(|there| &there["secrets"]));
    let new = serde_saphyr::to_string(&wanted)?;
    if there.is_some() && old == new {
        return Ok(None);
    }
    let title = format!("{} {}", document.kind, document.name);
    let names = (format!("{title} (server)"), format!("{title} (file)"));
    let diff = similar::TextDiff::from_lines(&old, &new);
    let text = diff.unified_diff().header(&names.0, &names.1).to_string();
    Ok(Some(text.trim_end().to_owned()))
}

/// What the server leaves out of its answers.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Fields the server fills.
const SERVER: [&str; 13] = [
    "id",
    "kind",
    "status",
    "reason",
    "createdTime",
    "modifiedTime",
    "revision",
    "organization",
    "functionImageURL",
    "faasId",
    "source",
    "sourceDigest",
    "serviceBindings",
];

/// Whether a field is the document's to say. The source of a secret is no code, but a reference.
fn is_own(key: &str, value: &Value) -> bool {
    !SERVER.contains(&key) || (key == "source" && value.is_object())
}

/// What of a resource is worth comparing: no fields the server fills, and of the source its digest.
/// In one order, whoever wrote it.
fn shown(body: &Value) -> Map<String, Value> {
    let fields = body.as_object().cloned().unwrap_or_default();
    let mut kept: Map<String, Value> =
        fields.into_iter().filter(|(key, value)| is_own(key, value)).collect();
    if let Some(digest) = source_digest(body) {
        kept.insert("sourceDigest".to_owned(), Value::String(digest));
    }
    kept.sort_keys();
    kept.values_mut().for_each(Value::sort_all_objects);
    kept
}

/// Puts a mark in place of a secret's values; another one where the server has another value.
fn hide(secrets: Option<&mut Value>, there: Option<&Value>) {
    let Some(Value::Object(secrets)) = secrets else { return };
    for (key, value) in secrets {
        let same = there.is_none_or(|there| there[key.as_str()] == *value);
        *value = json!(if same { "<hidden>" } else { "<hidden, another value>" });
    }
}

/// The digest of a document's source, or the one the server tells.
fn source_digest(body: &Value) -> Option<String> {
    use base64::Engine as _;
    use sha2::Digest as _;
    if let Some(source) = body.get("source").and_then(Value::as_str) {
        let bytes = base64::engine::general_purpose::STANDARD.decode(source).ok()?;
        let hex: String = sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        return Some(format!("sha256:{hex}"));
    }
    body.get("sourceDigest")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noun::Noun;

    fn diff(there: Option<Value>, body: Value) -> Option<String> {
        let document = Document::new(Noun::Secret, "Secret", "s", body);
        of(there.as_ref(), &document).unwrap()
    }

    #[test]
    fn only_what_differs_is_shown() {
        let there = json!({"name": "s", "id": "1", "status": "READY", "timeout": 5, "image": "i"});
        assert_eq!(diff(Some(there.clone()), json!({"name": "s", "timeout": 5})), None);
        let nothing = json!({"name": "s", "retries": 0, "secrets": []});
        assert_eq!(diff(Some(there.clone()), nothing), None);
        let text = diff(Some(there), json!({"name": "s", "timeout": 6})).unwrap();
        assert!(text.contains("-timeout: 5\n+timeout: 6"), "{text}");
        assert!(diff(None, json!({"name": "s"})).unwrap().contains("+name: s"));
    }

    #[test]
    fn values_of_secrets_are_compared_and_not_shown() {
        let secret = |value: &str| json!({"name": "s", "secrets": {"key": value}});
        assert_eq!(diff(Some(secret("a")), secret("a")), None);
        let text = diff(Some(secret("canary-1")), secret("canary-2")).unwrap();
        assert!(text.contains("+  key: <hidden, another value>"), "{text}");
        assert!(!text.contains("canary"), "{text}");
        assert!(!diff(None, secret("canary")).unwrap().contains("canary"));
    }
}

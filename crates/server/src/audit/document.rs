//! What a resource is, as an entry of the audit log keeps it: without what is secret in it.

use dispatch_model::audit::document;
use dispatch_model::{Kind, RawJson, Resource};
use serde_json::{Map, Value, json};

/// What stands in the place of something secret.
const MASKED: &str = "(masked)";
/// Fields whose texts are taken for secret, by a part of their name in small letters.
const SECRET: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "sealed",
    "ciphertext",
    "credential",
    "privatekey",
    "apikey",
    "clientsecret",
];

/// A resource before and after a change. The status is the server's business, and stands there only
/// when it is what the caller changed.
pub fn documents<K: Kind>(
    before: Option<&Resource<K>>,
    after: Option<&Resource<K>>,
) -> [Option<RawJson>; 2] {
    let status = match (before, after) {
        (Some(before), Some(after)) => before.status != after.status,
        _ => false,
    };
    [before, after].map(|resource| resource.map(|resource| one(resource, status)))
}

fn one<K: Kind>(resource: &Resource<K>, status: bool) -> RawJson {
    let meta = &resource.meta;
    let mut all = json!({"id": meta.id, "state": meta.state.as_str(), "tags": meta.tags});
    all["spec"] = serde_json::to_value(&resource.spec).unwrap_or_default();
    if status {
        all["status"] = serde_json::to_value(&resource.status).unwrap_or_default();
    }
    for part in ["tags", "spec", "status"] {
        if let Some(value) = all.get_mut(part) {
            mask(value);
        }
    }
    document(all.to_string())
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => mask_fields(fields),
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::String(text) => {
            if let Some(masked) = without_password(text) {
                *text = masked;
            }
        }
        _ => {}
    }
}

/// A text without what may be the user and password of a URL in it: rather too much is masked than
/// too little, for passwords hold slashes, and some texts hold several URLs. `None` when there are
/// none.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (_, host) = rest.rsplit_once('@')?;
    Some(format!("{scheme}://{MASKED}@{host}"))
}

/// Variables of a function's environment whose values are masked besides, by a part of their name.
const SECRET_VARIABLE: [&str; 8] = ["secret", "pass", "pwd", "key", "auth", "sas", "dsn", "cookie"];

fn mask_environment(variables: &mut Map<String, Value>) {
    for (name, value) in variables {
        let name = name.to_ascii_lowercase();
        if SECRET_VARIABLE.iter().any(|word| name.contains(word)) {
            *value = MASKED.into();
        }
    }
}

fn mask_fields(fields: &mut Map<String, Value>) {
    for (name, value) in fields.iter_mut() {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        let secret = SECRET.iter().any(|word| plain.contains(word));
        if let ("environment", Value::Object(variables)) = (plain.as_str(), &mut *value) {
            mask_environment(variables);
        }
        match value {
            Value::String(_) | Value::Object(_) | Value::Array(_) if secret => {
                *value = MASKED.into();
            }
            other => mask(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_masked_at_any_depth() {
        let mut value = json!({
            "registry_password": "canary", "settings": {"API-Key": "canary", "url": "http://x"},
            "list": [{"sealed": {"ciphertext": "canary"}}], "secrets": ["db"],
            "max_token_lifetime_s": 5, "clientSecret": ["canary"],
            "environment": {"DB_PASSWORD": "canary", "DB": "postgres://me:canary@db:5432/x?y=z@",
                "STRIPE_KEY": "canary", "KAFKA": "SASL://a:canary,SASL://u:can/ary@b"},
        });
        mask(&mut value);
        let text = value.to_string();
        assert!(!text.contains("canary") && !text.contains("ary@"), "{value}");
        assert_eq!(value["secrets"][0], "db");
        assert_eq!(value["settings"]["url"], "http://x");
        assert_eq!(value["max_token_lifetime_s"], 5);
        assert_eq!(value["list"][0]["sealed"], MASKED);
        assert_eq!(value["environment"]["DB"], "postgres://(masked)@");
    }
}

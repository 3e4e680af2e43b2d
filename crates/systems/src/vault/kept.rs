//! What the Vault keeps: versions of secrets, and tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

/// Life of what a login gives.
const LOGIN_LIFE: Duration = Duration::from_secs(3_600);

pub struct Kept {
    secrets: HashMap<String, Vec<Version>>,
    tokens: HashMap<String, Token>,
    pub login_life: Duration,
    pub denied: bool,
    pub namespace: String,
}

struct Version {
    values: Value,
    deleted: bool,
    destroyed: bool,
}

struct Token {
    life: Duration,
    ends: Option<Instant>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            secrets: HashMap::new(),
            tokens: HashMap::new(),
            login_life: LOGIN_LIFE,
            denied: false,
            namespace: String::new(),
        }
    }
}

impl Kept {
    pub fn put(&mut self, path: &str, values: Value) -> u64 {
        let versions = self.secrets.entry(path.to_owned()).or_default();
        versions.push(Version { values, deleted: false, destroyed: false });
        versions.len() as u64
    }

    pub fn delete(&mut self, path: &str, version: u64, destroy: bool) {
        let versions = self.secrets.get_mut(path).expect("there is such a secret");
        let version = &mut versions[version as usize - 1];
        (version.deleted, version.destroyed) = (!destroy, destroy);
    }

    pub fn token(&mut self, life: Duration) -> String {
        let text = format!("hvs.{}", Uuid::new_v4().simple());
        let ends = (!life.is_zero()).then(|| Instant::now() + life);
        self.tokens.insert(text.clone(), Token { life, ends });
        text
    }

    pub fn revoke(&mut self) {
        self.tokens.clear();
    }

    /// Seconds a token has left, zero for ever; `None` for one that is none.
    pub fn left(&self, token: &str) -> Option<u64> {
        let token = self.tokens.get(token)?;
        let Some(ends) = token.ends else { return Some(0) };
        let left = ends.checked_duration_since(Instant::now())?;
        Some(left.as_secs_f64().ceil() as u64)
    }

    /// Lets it begin its life again; its seconds.
    pub fn renew(&mut self, token: &str) -> Option<u64> {
        self.left(token)?;
        let token = self.tokens.get_mut(token)?;
        token.ends = token.ends.map(|_| Instant::now() + token.life);
        Some(token.life.as_secs())
    }

    /// Status and body of the reading of a version, the newest when none is named.
    pub fn read(&self, path: &str, version: Option<u64>) -> (u16, Value) {
        let nothing = || (404, json!({"errors": []}));
        let Some(versions) = self.secrets.get(path) else { return nothing() };
        let number = version.unwrap_or(versions.len() as u64);
        let Some(version) = versions.get((number as usize).wrapping_sub(1)) else {
            return nothing();
        };
        let gone = version.deleted || version.destroyed;
        let deletion_time = if version.deleted { "2026-11-27T00:00:00.000000000Z" } else { "" };
        let data = json!({
            "data": if gone { Value::Null } else { version.values.clone() },
            "metadata": {
                "created_time": "2026-11-26T00:00:00.000000000Z",
                "custom_metadata": null,
                "deletion_time": deletion_time,
                "destroyed": version.destroyed,
                "version": number,
            },
        });
        let body = json!({
            "request_id": Uuid::new_v4().to_string(), "lease_id": "", "renewable": false,
            "lease_duration": 0, "data": data, "wrap_info": null, "warnings": null, "auth": null,
        });
        (if gone { 404 } else { 200 }, body)
    }
}

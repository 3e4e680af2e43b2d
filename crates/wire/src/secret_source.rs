//! Where the values of a secret are when they are not kept by Dispatch. An addition to v1.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_model::secret::{MAX_SECRET_KEYS, Source, StoreKind};
use dispatch_model::{Name, Violation};
use serde::{Deserialize, Serialize};

/// Longest path in a store, in bytes.
const MAX_PATH: usize = 512;
/// Longest key, in bytes.
const MAX_KEY: usize = 256;
/// Longest name of a Kubernetes secret, in bytes.
const MAX_NAME: usize = 253;

/// A reference to values in a store that the server's operator opened to the organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSource {
    /// vault or kubernetes.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the store.
    pub store: String,
    /// Of a Vault: the path below the organization's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of a Vault: the version to read; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Of a Kubernetes cluster: the secret in the organization's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What handlers get each key as, by its name in the store; all under their own names when
    /// empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// How long what was read is used before it is read again; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_seconds: Option<u64>,
}

impl From<&Source> for SecretSource {
    fn from(source: &Source) -> Self {
        let (path, name) = match source.kind {
            StoreKind::Vault => (Some(source.path.clone()), None),
            StoreKind::Kubernetes => (None, Some(source.path.clone())),
        };
        Self {
            kind: source.kind.as_str().to_owned(),
            store: source.store.clone(),
            path,
            version: source.version,
            name,
            keys: source.keys.clone(),
            cache_seconds: source.cache_s,
        }
    }
}

impl SecretSource {
    /// # Errors
    /// The field that breaks a rule, as `source.FIELD`.
    pub fn checked(&self) -> Result<Source, Violation> {
        Name::new(&self.store).map_err(|broken| wrong("store", broken.rule))?;
        let (kind, path) = match self.kind.as_str() {
            "vault" => (StoreKind::Vault, self.vault()?),
            "kubernetes" => (StoreKind::Kubernetes, self.kubernetes()?),
            other => {
                let rule = format!("{other:?} must be vault or kubernetes");
                return Err(wrong("type", rule));
            }
        };
        check_keys(&self.keys)?;
        if self.cache_seconds == Some(0) {
            return Err(wrong("cacheSeconds", "must be at least 1"));
        }
        Ok(Source {
            kind,
            store: self.store.clone(),
            path,
            version: self.version,
            keys: self.keys.clone(),
            cache_s: self.cache_seconds,
        })
    }

    fn vault(&self) -> Result<String, Violation> {
        if self.name.is_some() {
            return Err(wrong("name", "is of type kubernetes; a Vault has a `path`"));
        }
        if self.version == Some(0) {
            return Err(wrong("version", "must be at least 1; leave it out for the newest"));
        }
        let path = self.path.as_deref().unwrap_or_default();
        let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '%' | '\\');
        if path.is_empty() || path.len() > MAX_PATH || path.contains(odd) {
            let rule = format!("must be 1 to {MAX_PATH} ASCII characters, none of them ? # % \\");
            return Err(wrong("path", rule));
        }
        // The prefix of the organization must not be left.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(wrong("path", "must not begin or end with /, nor have the parts . and .."));
        }
        Ok(path.to_owned())
    }

    fn kubernetes(&self) -> Result<String, Violation> {
        for (field, given) in [("path", self.path.is_some()), ("version", self.version.is_some())] {
            if given {
                return Err(wrong(field, "is of type vault; a Kubernetes secret has a `name`"));
            }
        }
        let name = self.name.as_deref().unwrap_or_default();
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = name.len() <= MAX_NAME
            && name.starts_with(letter)
            && name.ends_with(letter)
            && name.chars().all(|c| letter(c) || matches!(c, '-' | '.'));
        match good {
            true => Ok(name.to_owned()),
            false => Err(wrong("name", "must be the name of a Kubernetes secret: a-z 0-9 - .")),
        }
    }
}

fn check_keys(keys: &BTreeMap<String, String>) -> Result<(), Violation> {
    if keys.len() > MAX_SECRET_KEYS {
        let rule = format!("has {} entries, at most {MAX_SECRET_KEYS} are allowed", keys.len());
        return Err(wrong("keys", rule));
    }
    let mut given = BTreeSet::new();
    for (key, name) in keys {
        if [key, name].iter().any(|text| text.is_empty() || text.len() > MAX_KEY) {
            return Err(wrong("keys", format!("must be 1 to {MAX_KEY} bytes long, each")));
        }
        if !given.insert(name) {
            return Err(wrong("keys", format!("gives {name:?} twice")));
        }
    }
    Ok(())
}

fn wrong(field: &str, rule: impl Into<String>) -> Violation {
    Violation::new(format!("source.{field}"), rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(path: &str) -> SecretSource {
        let path = Some(path.to_owned());
        SecretSource { kind: "vault".into(), store: "corp".into(), path, ..Default::default() }
    }

    #[test]
    fn a_path_stays_below_its_prefix() {
        for good in ["db", "a/b-c/d_e.f", "a/..b/c.."] {
            assert_eq!(vault(good).checked().unwrap().path, good);
        }
        let long = "a".repeat(MAX_PATH + 1);
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a?b", "a%2e", "a b", "ä", &long]
        {
            assert_eq!(vault(bad).checked().unwrap_err().field, "source.path", "{bad}");
        }
    }

    #[test]
    fn each_type_has_its_own_fields() {
        let cluster = |name: &str| SecretSource {
            kind: "kubernetes".into(),
            store: "cluster".into(),
            name: Some(name.to_owned()),
            ..Default::default()
        };
        assert_eq!(cluster("db.prod-1").checked().unwrap().path, "db.prod-1");
        for bad in ["", "Db", "a/b", "..", ".a", "a-", &"a".repeat(MAX_NAME + 1)] {
            assert_eq!(cluster(bad).checked().unwrap_err().field, "source.name", "{bad}");
        }
        let field = |source: SecretSource| source.checked().unwrap_err().field;
        assert_eq!(field(SecretSource { version: Some(1), ..cluster("a") }), "source.version");
        assert_eq!(field(SecretSource { version: Some(0), ..vault("a") }), "source.version");
        assert_eq!(field(SecretSource { name: Some("a".into()), ..vault("a") }), "source.name");
        assert_eq!(field(SecretSource { kind: "s3".into(), ..vault("a") }), "source.type");
        assert_eq!(field(SecretSource { store: "../x".into(), ..vault("a") }), "source.store");
        assert_eq!(
            field(SecretSource { cache_seconds: Some(0), ..vault("a") }).as_str(),
            "source.cacheSeconds"
        );
        let twice = BTreeMap::from([("a".to_owned(), "x".to_owned()), ("b".into(), "x".into())]);
        assert_eq!(field(SecretSource { keys: twice, ..vault("a") }), "source.keys");
    }
}

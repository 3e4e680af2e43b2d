//! Secrets, as they are stored: sealed, or a reference to a store elsewhere. Only the server's
//! `seal` room opens what is sealed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{NoStatus, kind};

kind!(
    /// Marks secrets.
    Secret, SecretSpec, NoStatus
);

/// Most keys one secret may hold.
pub const MAX_SECRET_KEYS: usize = 256;
/// Most bytes all keys and values of one secret may take together: 1 MiB.
pub const MAX_SECRET_BYTES: usize = 1 << 20;

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSpec {
    /// 1 for the first; every update makes the next.
    #[serde(default = "first")]
    pub version: u64,
    /// Who made this version; empty when that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub made_by: String,
    /// Unix milliseconds; absent in what was stored before secrets had versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_ms: Option<i64>,
    #[serde(flatten)]
    pub content: Content,
}

fn first() -> u64 {
    1
}

/// Where the values are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Sealed(Sealed),
    Source(Source),
}

impl Content {
    pub fn sealed(&self) -> Option<&Sealed> {
        match self {
            Content::Sealed(sealed) => Some(sealed),
            Content::Source(_) => None,
        }
    }

    pub fn source(&self) -> Option<&Source> {
        match self {
            Content::Sealed(_) => None,
            Content::Source(source) => Some(source),
        }
    }
}

/// Values under a data key of their own, which is wrapped by a root key. All fields are base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which root key wrapped the data key.
    pub root_key_id: String,
    pub wrapped_key: String,
    pub wrap_nonce: String,
    pub nonce: String,
    pub ciphertext: String,
}

/// A kind of stores outside of Dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// HashiCorp Vault's key-value engine, version 2.
    Vault,
    /// Secrets of a Kubernetes cluster.
    Kubernetes,
}

impl StoreKind {
    pub fn as_str(self) -> &'static str {
        match self {
            StoreKind::Vault => "vault",
            StoreKind::Kubernetes => "kubernetes",
        }
    }
}

/// Values that are kept elsewhere and read when a run needs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    #[serde(rename = "type")]
    pub kind: StoreKind,
    /// One of the stores the server's operator opened to the organization.
    pub store: String,
    /// Of Vault the path below the organization's prefix, of Kubernetes the secret's name.
    pub path: String,
    /// The version to read, of a store that has versions; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What the handler gets each key as, by the key in the store; all under their own when empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// How long what was read is used, in seconds; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_s: Option<u64>,
}

/// That a run read a secret. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    #[serde(rename = "n")]
    pub name: String,
    /// The secret's own version.
    #[serde(rename = "v")]
    pub version: u64,
    /// The version the store outside gave it, when the values are there.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
}

/// What a run read. Runs of one function share it, so that recording it copies nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretUses(Option<Arc<[SecretUse]>>);

impl SecretUses {
    pub fn as_slice(&self) -> &[SecretUse] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl FromIterator<SecretUse> for SecretUses {
    fn from_iter<I: IntoIterator<Item = SecretUse>>(uses: I) -> Self {
        let uses: Vec<SecretUse> = uses.into_iter().collect();
        Self((!uses.is_empty()).then(|| uses.into()))
    }
}

impl Serialize for SecretUses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretUses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_before_secrets_had_versions_is_the_first_one() {
        let text = r#"{"sealed":{"root_key_id":"a","wrapped_key":"","wrap_nonce":"","nonce":"",
            "ciphertext":"c"}}"#;
        let spec: SecretSpec = serde_json::from_str(text).unwrap();
        assert_eq!((spec.version, spec.made_ms), (1, None));
        assert_eq!(spec.content.sealed().unwrap().ciphertext, "c");
        let again: SecretSpec =
            serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn a_reference_is_stored_as_it_is_written() {
        let text = r#"{"version":3,"source":{"type":"vault","store":"corp","path":"db"}}"#;
        let spec: SecretSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.content.source().unwrap().kind, StoreKind::Vault);
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }

    #[test]
    fn nothing_used_takes_no_room() {
        let none: SecretUses = [].into_iter().collect();
        assert_eq!(none, SecretUses::default());
        let used = SecretUse { name: "db".to_owned(), version: 2, source_version: None };
        let uses: SecretUses = [used].into_iter().collect();
        let text = serde_json::to_string(&uses).unwrap();
        assert_eq!(text, r#"[{"n":"db","v":2}]"#);
        assert_eq!(serde_json::from_str::<SecretUses>(&text).unwrap(), uses);
    }
}

//! Secrets as v1 writes them. Values travel only when one secret is created, updated or got.

use std::collections::BTreeMap;

use dispatch_model::secret::{MAX_SECRET_BYTES, MAX_SECRET_KEYS, Secret as Marker};
use dispatch_model::{Kind, Name, Resource, Tags, Violation};

use crate::SecretSource;
use crate::shared::{resource_shape, tags_to_model};

resource_shape! {
    /// Values handlers get through their context.
    Secret {
        /// Empty in lists.
        #[serde(default)]
        secrets: BTreeMap<String, String>,
        /// Where the values are, instead of `secrets`: they are read when a run needs them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SecretSource>,
        /// Read-only: where a version was asked for or made by its number, which one it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    }
}

impl Secret {
    /// The checked name and tags; the values are checked beside them.
    pub fn checked(&self) -> Result<(Name, Tags), Violation> {
        if self.source.is_some() && !self.secrets.is_empty() {
            let rule = "and `source` are both given; a secret has its values here or elsewhere";
            return Err(Violation::new("secrets", rule));
        }
        check_values(&self.secrets)?;
        Ok((Name::new(&self.name)?, tags_to_model(&self.tags)?))
    }

    /// The shape with the values given; lists give none.
    pub fn with_values(resource: &Resource<Marker>, values: BTreeMap<String, String>) -> Self {
        let source = resource.spec.content.source().map(SecretSource::from);
        Secret { secrets: values, source, ..Secret::default() }
            .with_meta(Marker::KIND, &resource.meta)
    }

    /// The same with the number of its version, which v1's own answers do not have.
    pub fn numbered(self, resource: &Resource<Marker>) -> Self {
        Secret { version: Some(resource.spec.version), ..self }
    }
}

/// The limits of values, wherever they come from.
pub fn check_values(values: &BTreeMap<String, impl AsRef<str>>) -> Result<(), Violation> {
    if values.len() > MAX_SECRET_KEYS {
        let rule = format!("has {} keys, at most {MAX_SECRET_KEYS}", values.len());
        return Err(Violation::new("secrets", rule));
    }
    let bytes: usize = values.iter().map(|(k, v)| k.len() + v.as_ref().len()).sum();
    if bytes > MAX_SECRET_BYTES {
        let rule = format!("is {bytes} bytes long, at most {MAX_SECRET_BYTES} are allowed");
        return Err(Violation::new("secrets", rule));
    }
    Ok(())
}

//! Secrets as v1 writes them. Values travel only when one secret is created, updated or got.

use std::collections::BTreeMap;

use dispatch_model::secret::{MAX_SECRET_BYTES, MAX_SECRET_KEYS, Secret as Marker};
use dispatch_model::{Kind, Name, Resource, Tags, Violation};

use crate::shared::{resource_shape, tags_to_model};

resource_shape! {
    /// Values handlers get through their context.
    Secret {
        /// Empty in lists.
        #[serde(default)]
        secrets: BTreeMap<String, String>,
    }
}

impl Secret {
    /// The checked name and tags; the values are checked beside them.
    pub fn checked(&self) -> Result<(Name, Tags), Violation> {
        if self.secrets.len() > MAX_SECRET_KEYS {
            let rule = format!("has {} keys, at most {MAX_SECRET_KEYS}", self.secrets.len());
            return Err(Violation::new("secrets", rule));
        }
        let bytes: usize = self.secrets.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > MAX_SECRET_BYTES {
            let rule = format!("is {bytes} bytes long, at most {MAX_SECRET_BYTES} are allowed");
            return Err(Violation::new("secrets", rule));
        }
        Ok((Name::new(&self.name)?, tags_to_model(&self.tags)?))
    }

    /// The shape with the values given; lists give none.
    pub fn with_values(resource: &Resource<Marker>, values: BTreeMap<String, String>) -> Self {
        Secret { secrets: values, ..Secret::default() }.with_meta(Marker::KIND, &resource.meta)
    }
}

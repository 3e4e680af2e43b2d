//! Parts that many shapes have.

use dispatch_model::{Tags, Violation};
use serde::{Deserialize, Serialize};

/// Most tags one resource or run may carry.
pub const MAX_TAGS: usize = 64;
/// Longest key or value of a tag, in bytes.
pub const MAX_TAG_BYTES: usize = 256;

/// A label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Tag {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

/// v1's list of tags as a map; a key given twice keeps its last value.
pub fn tags_to_model(tags: &[Tag]) -> Result<Tags, Violation> {
    if tags.len() > MAX_TAGS {
        let rule = format!("has {} entries, at most {MAX_TAGS} are allowed", tags.len());
        return Err(Violation::new("tags", rule));
    }
    for (i, tag) in tags.iter().enumerate() {
        if tag.key.is_empty() || tag.key.len() > MAX_TAG_BYTES {
            let rule = format!("must be 1 to {MAX_TAG_BYTES} bytes long");
            return Err(Violation::new(format!("tags[{i}].key"), rule));
        }
        if tag.value.len() > MAX_TAG_BYTES {
            let rule = format!("must be at most {MAX_TAG_BYTES} bytes long");
            return Err(Violation::new(format!("tags[{i}].value"), rule));
        }
    }
    Ok(tags.iter().map(|t| (t.key.clone(), t.value.clone())).collect())
}

pub fn tags_from_model(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// Unix milliseconds as v1's unix seconds.
pub fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1_000)
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

pub(crate) fn is_zero(value: &u64) -> bool {
    *value == 0
}

pub(crate) fn is_zero_u32(value: &u32) -> bool {
    *value == 0
}

/// Writes a shape with the fields every resource has (in v1's order) around its own.
macro_rules! resource_shape {
    (
        $(#[$doc:meta])*
        $name:ident { $( $(#[$field_doc:meta])* $field:ident : $type:ty ),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// Read-only.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub id: Option<uuid::Uuid>,
            /// Read-only; in YAML documents, what the document is.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub kind: Option<String>,
            /// Matches `^[\w\d][\w\d\-]*$`.
            #[serde(default)]
            pub name: String,
            $( $(#[$field_doc])* pub $field: $type, )*
            /// Read-only: INITIALIZED, CREATING, READY, UPDATING, ERROR, DELETING.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub status: Option<String>,
            /// Read-only: why the status is what it is.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub reason: Vec<String>,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub tags: Vec<$crate::shared::Tag>,
            /// Read-only: unix seconds.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub created_time: Option<i64>,
            /// Read-only: unix seconds.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub modified_time: Option<i64>,
            /// Read-only: grows with every change; also the ETag.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub revision: Option<i64>,
            /// Read-only: the organization it belongs to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub organization: Option<String>,
        }

        impl $name {
            /// Fills the read-only fields every resource has.
            pub(crate) fn with_meta(
                mut self,
                kind: dispatch_model::ResourceKind,
                meta: &dispatch_model::Meta,
            ) -> Self {
                self.id = Some(meta.id);
                self.kind = Some(kind.as_str().to_owned());
                self.name = meta.name.to_string();
                self.status = Some(meta.state.as_str().to_owned());
                self.reason = meta.reason.clone();
                self.tags = $crate::shared::tags_from_model(&meta.tags);
                self.created_time = Some($crate::shared::seconds(meta.created_ms));
                self.modified_time = Some($crate::shared::seconds(meta.modified_ms));
                self.revision = Some(meta.revision);
                self.organization = Some(meta.org.to_string());
                self
            }
        }
    };
}
pub(crate) use resource_shape;

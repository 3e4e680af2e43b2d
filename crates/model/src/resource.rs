//! What every stored resource has in common.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Name, OrgName, ResourceKind, State};

/// Key and value labels; v1 writes them as `[{"key", "value"}]`.
pub type Tags = BTreeMap<String, String>;

/// One kind of resource: the types of its spec (what people ask for) and status (what is so).
pub trait Kind: Sized + Send + Sync + std::fmt::Debug + Clone + 'static {
    const KIND: ResourceKind;
    type Spec: Serialize + DeserializeOwned + Clone + std::fmt::Debug + PartialEq + Send + Sync;
    type Status: Serialize
        + DeserializeOwned
        + Default
        + Clone
        + std::fmt::Debug
        + PartialEq
        + Send
        + Sync;
}

/// A stored resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource<K: Kind> {
    pub meta: Meta,
    pub spec: K::Spec,
    pub status: K::Status,
}

/// The part of a resource that does not depend on its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    pub id: Uuid,
    pub org: OrgName,
    pub name: Name,
    /// Grows by one with every stored change; also the ETag.
    pub revision: i64,
    pub tags: Tags,
    pub state: State,
    /// Why the state is what it is, for people; the last error comes first.
    pub reason: Vec<String>,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub modified_ms: i64,
}

/// The status of kinds that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoStatus {}

impl<K: Kind> Resource<K> {
    /// A new resource, not stored yet: a fresh id, revision 1, created now.
    pub fn new(org: OrgName, name: Name, tags: Tags, state: State, spec: K::Spec) -> Self {
        let now = now_ms();
        let meta = Meta {
            id: Uuid::now_v7(),
            org,
            name,
            revision: 1,
            tags,
            state,
            reason: Vec::new(),
            created_ms: now,
            modified_ms: now,
        };
        Self { meta, spec, status: K::Status::default() }
    }
}

/// Now, in unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Declares a marker type as a [`Kind`].
#[macro_export]
macro_rules! kind {
    ($(#[$doc:meta])* $marker:ident, $spec:ty, $status:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $marker;

        impl $crate::Kind for $marker {
            const KIND: $crate::ResourceKind = $crate::ResourceKind::$marker;
            type Spec = $spec;
            type Status = $status;
        }
    };
}

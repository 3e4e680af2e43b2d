//! Resources between rows and types.

use dispatch_model::{Kind, Meta, Name, OrgName, Resource, State};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{Error, Result};

/// The columns of a resource, in the order of every SELECT.
pub(crate) const COLUMNS: &str = "id, org, name, revision, state, reason, tags, spec, status, \
                                  created_ms, modified_ms";

#[derive(FromRow)]
pub(crate) struct ResourceRow {
    pub id: Uuid,
    pub org: String,
    pub name: String,
    pub revision: i64,
    pub state: String,
    pub reason: String,
    pub tags: String,
    pub spec: String,
    pub status: String,
    pub created_ms: i64,
    pub modified_ms: i64,
}

impl ResourceRow {
    pub fn into_resource<K: Kind>(self) -> Result<Resource<K>> {
        let state = State::parse(&self.state)
            .ok_or_else(|| Error::Corrupt(format!("state {}", self.state)))?;
        let meta = Meta {
            id: self.id,
            org: OrgName::trusted(&self.org),
            name: Name::trusted(&self.name),
            revision: self.revision,
            tags: serde_json::from_str(&self.tags)?,
            state,
            reason: serde_json::from_str(&self.reason)?,
            created_ms: self.created_ms,
            modified_ms: self.modified_ms,
        };
        let spec = serde_json::from_str(&self.spec)?;
        let status = serde_json::from_str(&self.status)?;
        Ok(Resource { meta, spec, status })
    }

    pub fn from_resource<K: Kind>(resource: &Resource<K>) -> Result<Self> {
        let meta = &resource.meta;
        Ok(Self {
            id: meta.id,
            org: meta.org.to_string(),
            name: meta.name.to_string(),
            revision: meta.revision,
            state: meta.state.as_str().to_owned(),
            reason: serde_json::to_string(&meta.reason)?,
            tags: serde_json::to_string(&meta.tags)?,
            spec: serde_json::to_string(&resource.spec)?,
            status: serde_json::to_string(&resource.status)?,
            created_ms: meta.created_ms,
            modified_ms: meta.modified_ms,
        })
    }
}

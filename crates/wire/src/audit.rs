//! The audit log. An addition to v1. An entry travels as it is stored: its link is made of its
//! JSON.

pub use dispatch_model::audit::{Actor as AuditActor, Entry as AuditEntry};
use dispatch_model::audit::{Link, Outcome};
use serde::{Deserialize, Serialize};

/// How the audit log was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditVerdict {
    /// Whether every entry is as it was written, and none is missing.
    pub right: bool,
    /// Entries that are right: all, or those before the first that is not.
    pub entries: u64,
    /// The number of the first entry that is left; those before were let go.
    pub first: i64,
    /// The number of the last entry that is right.
    pub last: i64,
    /// Its link. Kept elsewhere, it shows later whether somebody went back behind it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub link: Link,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<AuditBreak>,
}

/// The first entry that is not right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditBreak {
    pub seq: i64,
    /// What is wrong, as a sentence that begins with `entry SEQ`.
    pub why: String,
}

/// An entry as a CloudEvent (1.0, structured).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    pub specversion: &'static str,
    /// The entry's number.
    pub id: String,
    pub source: &'static str,
    /// `io.dispatchframework.audit.RESOURCE.ACTION`, with `.refused` when it was.
    #[serde(rename = "type")]
    pub event_type: String,
    /// `ORGANIZATION/RESOURCE/NAME`, as far as there are such.
    pub subject: String,
    /// RFC 3339.
    pub time: String,
    pub datacontenttype: &'static str,
    pub data: AuditEntry,
}

impl AuditEvent {
    /// `time` is that of the entry, in RFC 3339.
    pub fn of(entry: AuditEntry, time: String) -> Self {
        let refused = if entry.outcome == Outcome::Refused { ".refused" } else { "" };
        let (resource, action) = (&entry.resource, &entry.action);
        let parts = [entry.organization.as_deref().unwrap_or_default(), resource, &entry.name];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            specversion: "1.0",
            id: entry.seq.to_string(),
            source: "/v1/audit",
            event_type: format!("io.dispatchframework.audit.{resource}.{action}{refused}"),
            subject: parts.join("/"),
            time,
            datacontenttype: "application/json",
            data: entry,
        }
    }
}

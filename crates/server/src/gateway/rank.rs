//! Which of two APIs that want the same thing has it: the one that was created first, wherever and
//! whenever they become known.

use dispatch_model::{Meta, Name, OrgName};
use uuid::Uuid;

/// Names an API.
pub type ApiName = (OrgName, Name);

/// An API's place in the order of creation; the oldest is the least. The id decides between two of
/// the same millisecond, so that every server decides alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub created_ms: i64,
    pub id: Uuid,
}

impl From<&Meta> for Rank {
    fn from(meta: &Meta) -> Self {
        Self { created_ms: meta.created_ms, id: meta.id }
    }
}

//! What the run part of the store gives and takes.

use dispatch_model::{Name, Run, State};
use uuid::Uuid;

/// Who executes a run, and until when nobody else may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub owner: Uuid,
    /// Unix microseconds.
    pub until_us: i64,
}

/// What became of an offered run.
#[derive(Debug, Clone)]
pub enum Accepted {
    /// It is stored and will be executed.
    New,
    /// A run with the same idempotency key was stored before: this one.
    Existing(Box<Run>),
}

/// Which runs are listed.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    pub function: Option<Name>,
    pub state: Option<State>,
    /// Unix microseconds; runs accepted at or after.
    pub since_us: Option<i64>,
    /// Runs whose tags hold all of these.
    pub tags: Vec<(String, String)>,
    /// Only dead letters.
    pub dead: bool,
    /// Page size; the store's own limit when absent.
    pub limit: Option<u32>,
    /// The id of the last run of the page before.
    pub after: Option<Uuid>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// How the writer of runs is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunWriterStats {
    /// Runs that wait to be written.
    pub queued: u64,
    pub written: u64,
    /// Runs given up because there was no room for long, the store was closed, or the database
    /// refused that very run.
    pub lost: u64,
    /// Attempts to write that failed; what they held was kept and tried again.
    pub failures: u64,
    /// Why the last of those failed.
    pub last_error: Option<String>,
}

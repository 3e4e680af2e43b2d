//! Runs as rows, and many of them in one statement.

mod postgres;
mod sqlite;

use std::collections::HashMap;
use std::sync::Arc;

use dispatch_model::Run;
use uuid::Uuid;

use crate::{Result, run_body};

/// A run as its row. Texts are shared, so that a row can be bound again when a write failed.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub org: Arc<str>,
    pub id: Uuid,
    pub function_name: Arc<str>,
    pub function_id: Uuid,
    pub state: &'static str,
    pub dead: bool,
    pub body: Arc<str>,
    /// From when anybody may take it (unix microseconds); none when it is not to be executed.
    pub due_us: Option<i64>,
    pub lease_owner: Option<Uuid>,
}

impl RunRow {
    /// The row of a run that nobody will execute (again).
    pub fn ended(run: &Run, dead: bool) -> Result<Self> {
        Ok(Self {
            org: run.org.shared(),
            id: run.id,
            function_name: run.function_name.shared(),
            function_id: run.function_id,
            state: run.state.as_str(),
            dead,
            body: run_body::write(run)?.into(),
            due_us: None,
            lease_owner: None,
        })
    }

    /// Whether it is recorded once and for all, as most are.
    fn is_plain(&self) -> bool {
        !self.dead && self.due_us.is_none()
    }
}

/// What one transaction does to runs.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    /// Inserted; a run that is there already stays as it is.
    pub new: Vec<&'a RunRow>,
    /// Written over what is there and has not ended; a run whose row was deleted stays deleted.
    pub changed: Vec<&'a RunRow>,
}

impl Batch<'_> {
    /// Leaves the last change of each run, in the order they came.
    pub fn settle(&mut self) {
        if self.changed.len() < 2 {
            return;
        }
        let last: HashMap<Uuid, usize> =
            self.changed.iter().enumerate().map(|(at, row)| (row.id, at)).collect();
        let mut at = 0;
        self.changed.retain(|row| {
            at += 1;
            last.get(&row.id) == Some(&(at - 1))
        });
    }
}

/// How a connection writes a batch, inside a transaction.
pub(crate) trait WriteRuns {
    async fn write_runs(&mut self, batch: &Batch<'_>) -> sqlx::Result<()>;
}

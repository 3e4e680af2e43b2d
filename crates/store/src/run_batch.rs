//! Many runs in one statement: the statements have a few fixed sizes, so that they are prepared
//! once each.

use std::collections::HashMap;

use dispatch_model::Run;
use uuid::Uuid;

use crate::Result;

/// Rows of one statement. Times ten columns this stays below SQLite's limit on parameters.
const SIZES: [usize; 5] = [512, 64, 16, 4, 1];

/// A run as its row.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub org: String,
    pub id: Uuid,
    pub function_name: String,
    pub function_id: Uuid,
    pub state: &'static str,
    pub dead: i64,
    pub body: String,
    pub next_attempt_us: Option<i64>,
    pub lease_owner: Option<Uuid>,
    pub lease_until_us: Option<i64>,
}

impl RunRow {
    /// The row of a run that nobody will execute (again).
    pub fn ended(run: &Run, dead: bool) -> Result<Self> {
        Ok(Self {
            org: run.org.to_string(),
            id: run.id,
            function_name: run.function_name.to_string(),
            function_id: run.function_id,
            state: run.state.as_str(),
            dead: i64::from(dead),
            body: serde_json::to_string(run)?,
            next_attempt_us: None,
            lease_owner: None,
            lease_until_us: None,
        })
    }
}

/// The last state of each run, in the order they came: PostgreSQL refuses to write a row twice in
/// one statement.
pub(crate) fn last_of_each(rows: Vec<RunRow>) -> Vec<RunRow> {
    let mut place: HashMap<Uuid, usize> = HashMap::with_capacity(rows.len());
    let mut last: Vec<RunRow> = Vec::with_capacity(rows.len());
    for row in rows {
        match place.get(&row.id) {
            Some(&at) => last[at] = row,
            None => {
                place.insert(row.id, last.len());
                last.push(row);
            }
        }
    }
    last
}

/// Splits rows into slices of the fixed sizes.
pub(crate) fn slices(mut rows: &[RunRow]) -> impl Iterator<Item = &[RunRow]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (slice, rest) = rows.split_at(size);
        rows = rest;
        Some(slice)
    })
}

macro_rules! bind_rows {
    ($sql:ident, $rows:expr) => {
        $sql.push_values($rows, |mut tuple, row| {
            tuple
                .push_bind(row.org.as_str())
                .push_bind(row.id)
                .push_bind(row.function_name.as_str())
                .push_bind(row.function_id)
                .push_bind(row.state)
                .push_bind(row.dead)
                .push_bind(row.body.as_str())
                .push_bind(row.next_attempt_us)
                .push_bind(row.lease_owner)
                .push_bind(row.lease_until_us);
        });
    };
}
pub(crate) use bind_rows;

/// Inserts rows; one that is there already stays as it is.
macro_rules! insert_rows {
    ($tx:expr, $rows:expr) => {
        for slice in $crate::run_batch::slices($rows) {
            let mut sql = QueryBuilder::new(
                "INSERT INTO run (org, id, function_name, function_id, state, dead, body, \
                 next_attempt_us, lease_owner, lease_until_us) ",
            );
            $crate::run_batch::bind_rows!(sql, slice);
            sql.push(" ON CONFLICT DO NOTHING");
            sql.build().execute(&mut *$tx).await?;
        }
    };
}
pub(crate) use insert_rows;

/// Writes the new state of rows that are there and have not ended; a run whose row was deleted
/// stays deleted, an ended one stays as it ended.
macro_rules! update_rows {
    ($tx:expr, $rows:expr) => {
        for slice in $crate::run_batch::slices($rows) {
            let mut sql = QueryBuilder::new(
                "WITH v (org, id, function_name, function_id, state, dead, body, \
                 next_attempt_us, lease_owner, lease_until_us) AS (",
            );
            $crate::run_batch::bind_rows!(sql, slice);
            sql.push(
                ") UPDATE run SET state = v.state, dead = v.dead, body = v.body, \
                 next_attempt_us = v.next_attempt_us, lease_owner = v.lease_owner, \
                 lease_until_us = v.lease_until_us FROM v \
                 WHERE run.org = v.org AND run.id = v.id AND run.state NOT IN ('READY', 'ERROR')",
            );
            sql.build().execute(&mut *$tx).await?;
        }
    };
}
pub(crate) use update_rows;

/// Writes a batch in the transaction: first what is new, then what changed.
macro_rules! write_rows {
    ($tx:expr, $new:expr, $changed:expr) => {{
        $crate::run_batch::insert_rows!($tx, $new);
        $crate::run_batch::update_rows!($tx, $changed);
    }};
}
pub(crate) use write_rows;

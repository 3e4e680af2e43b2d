//! One batch of the run writer: its transaction, and who hears of it.

use dispatch_model::resource::now_ms;
use uuid::Uuid;

use crate::database::{Database, write};
use crate::run_batch::{Batch, RunRow, WriteRuns};
use crate::run_writer::{Entry, Shared, Work};
use crate::{Error, Result};

/// The run each offered key belongs to, if it is another, by the place of the entry.
type Taken = Vec<(usize, Uuid)>;

/// Writes a batch and empties it. When that fails, those who wait are told; what nobody waits for
/// is left in the batch, to be tried again.
pub(crate) async fn commit(
    database: &Database,
    batch: &mut Vec<Entry>,
    shared: &Shared,
) -> Result<()> {
    match write_batch(database, batch).await {
        Ok(taken) => {
            shared.done(batch, true);
            answer(batch.drain(..), &taken);
            Ok(())
        }
        Err(error) => {
            shared.failed(&error);
            refuse(batch, &error, shared);
            match error {
                Error::Full | Error::Unavailable(_) => Err(error),
                // Something in the batch itself is refused: the others shall not suffer for it.
                _ => singly(database, batch, shared).await,
            }
        }
    }
}

/// Writes entries nobody waits for one by one, and gives up those the database refuses.
async fn singly(database: &Database, batch: &mut Vec<Entry>, shared: &Shared) -> Result<()> {
    while let Some(entry) = batch.pop() {
        let entry = [entry];
        match write_batch(database, &entry).await {
            Ok(_) => shared.done(&entry, true),
            Err(error @ (Error::Full | Error::Unavailable(_))) => {
                batch.extend(entry);
                return Err(error);
            }
            Err(error) => {
                tracing::error!(%error, "a run is refused by the database");
                shared.failed(&error);
                shared.done(&entry, false);
            }
        }
    }
    Ok(())
}

async fn write_batch(database: &Database, entries: &[Entry]) -> Result<Taken> {
    let mut keys: Vec<(usize, &RunRow, &str)> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Work::Accept { row, key: Some(key), .. } = &entry.work {
            keys.push((at, row, key.as_str()));
        }
    }
    // All servers lock keys in the same order, so that none waits for another in a circle.
    keys.sort_by_key(|(at, row, key)| (row.org.clone(), row.function_name.clone(), *key, *at));
    let taken = write!(database, |tx| {
        let mut taken = Taken::new();
        for (at, row, key) in &keys {
            let (first,): (Uuid,) = sqlx::query_as(
                "INSERT INTO run_key (org, function_name, idempotency, run_id, created_ms) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org, function_name, idempotency) \
                 DO UPDATE SET run_id = run_key.run_id RETURNING run_id",
            )
            .bind(&*row.org)
            .bind(&*row.function_name)
            .bind(*key)
            .bind(row.id)
            .bind(now_ms())
            .fetch_one(&mut *tx)
            .await?;
            if first != row.id {
                taken.push((*at, first));
            }
        }
        tx.write_runs(&rows(entries, &taken)).await?;
        taken
    });
    Ok(taken)
}

/// What has to be inserted and what has to be updated; runs whose key was taken are neither.
fn rows<'a>(entries: &'a [Entry], taken: &Taken) -> Batch<'a> {
    let mut batch = Batch::default();
    for (at, entry) in entries.iter().enumerate() {
        match &entry.work {
            Work::Record(row) => batch.new.push(row),
            Work::Accept { row, .. } if first(taken, at).is_none() => batch.new.push(row),
            Work::Change { row, .. } => batch.changed.push(row),
            Work::Accept { .. } | Work::Flush(_) => {}
        }
    }
    batch.settle();
    batch
}

fn first(taken: &Taken, at: usize) -> Option<Uuid> {
    taken.iter().find(|(place, _)| *place == at).map(|(_, first)| *first)
}

/// Tells everybody that their entry is written. Who no longer waits is not missed.
fn answer(entries: impl Iterator<Item = Entry>, taken: &Taken) {
    for (at, entry) in entries.enumerate() {
        match entry.work {
            Work::Record(_) => {}
            Work::Accept { reply, .. } => {
                let _ = reply.send(Ok(first(taken, at)));
            }
            Work::Change { reply, .. } | Work::Flush(reply) => {
                let _ = reply.send(Ok(()));
            }
        }
    }
}

/// Tells those who wait that it failed and keeps the rest.
fn refuse(batch: &mut Vec<Entry>, error: &Error, shared: &Shared) {
    let copy = || match error {
        Error::Full => Error::Full,
        other => Error::Unavailable(other.to_string()),
    };
    for entry in std::mem::take(batch) {
        if !matches!(entry.work, Work::Record(_)) {
            shared.refused(&entry);
        }
        match entry.work {
            Work::Record(_) => batch.push(entry),
            Work::Accept { reply, .. } => {
                let _ = reply.send(Err(copy()));
            }
            Work::Change { reply, .. } | Work::Flush(reply) => {
                let _ = reply.send(Err(copy()));
            }
        }
    }
}

//! One task writes all runs, many in a transaction (group commit).
//!
//! Guarantees: an accepted run is committed before its caller hears of it. A recorded run waits in
//! a bounded queue; while the database fails it is kept and tried again, and new ones are given up
//! (and counted) only when the queue stays full for [`PATIENCE`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dispatch_model::resource::now_ms;
use sqlx::QueryBuilder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::database::{Database, write};
use crate::run_batch::{RunRow, last_of_each, write_rows};
use crate::{Error, Result, RunWriterStats};

/// Most entries of one transaction.
const BATCH: usize = 2_048;
/// Longest time an invocation waits for room in the queue.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Pause after a failed write.
const PAUSE: Duration = Duration::from_millis(200);

/// Something to write.
pub(crate) enum Entry {
    /// A finished run; nobody waits.
    Record(RunRow),
    /// A new run somebody waits for, with its idempotency key.
    Accept { row: RunRow, key: Option<String>, reply: oneshot::Sender<Result<Option<Uuid>>> },
    /// A change of a stored run.
    Change { row: RunRow, reply: oneshot::Sender<Result<()>> },
    /// Answered when all before it is written.
    Flush(oneshot::Sender<Result<()>>),
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
}

pub(crate) struct RunWriter {
    queue: mpsc::Sender<Entry>,
    counts: Arc<Counts>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    stop: Arc<tokio::sync::Notify>,
}

impl RunWriter {
    pub fn start(database: Database, queue: usize) -> Self {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let counts = Arc::<Counts>::default();
        let stop = Arc::<tokio::sync::Notify>::default();
        let task = tokio::spawn(run(database, receiver, counts.clone(), stop.clone()));
        Self { queue: sender, counts, task: Some(task).into(), stop }
    }

    /// Hands a finished run over. Waits only when the queue is full, and then for a bounded time.
    pub async fn record(&self, row: RunRow) {
        let sent = match self.queue.try_send(Entry::Record(row)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(entry)) => {
                self.queue.send_timeout(entry, PATIENCE).await.is_ok()
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        };
        if !sent {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a finished run could not be recorded: the run queue is full");
        }
    }

    /// Sends an entry and waits for its answer.
    pub async fn ask<T>(
        &self,
        entry: impl FnOnce(oneshot::Sender<Result<T>>) -> Entry,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let closed = || Error::Unavailable("the store is closed".to_owned());
        self.queue.send(entry(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub fn stats(&self) -> RunWriterStats {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        RunWriterStats {
            queued: waiting as u64,
            written: self.counts.written.load(Ordering::Relaxed),
            lost: self.counts.lost.load(Ordering::Relaxed),
            failures: self.counts.failures.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits and ends the task.
    pub async fn stop(&self) {
        self.stop.notify_one();
        if let Some(task) = self.task.lock().await.take() {
            // The task does not panic; were it cancelled there would be nothing to wait for.
            let _ = task.await;
        }
    }
}

async fn run(
    database: Database,
    mut queue: mpsc::Receiver<Entry>,
    counts: Arc<Counts>,
    stop: Arc<tokio::sync::Notify>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            biased;
            received = queue.recv_many(&mut batch, BATCH) => received,
            () = stop.notified() => {
                // What was sent before the stop is still taken; then the channel is empty.
                queue.close();
                continue;
            }
        };
        if received == 0 {
            return;
        }
        commit(&database, &mut batch, &counts, queue.is_closed()).await;
    }
}

/// Writes a batch. While that fails, those who wait are told and the rest is tried again; a
/// stopping writer tries only once more.
async fn commit(database: &Database, batch: &mut Vec<Entry>, counts: &Counts, stopping: bool) {
    let mut tries = 0;
    while !batch.is_empty() {
        match write_batch(database, batch).await {
            Ok(first_of_key) => {
                counts.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
                answer(batch.drain(..), first_of_key);
                return;
            }
            Err(error) => {
                counts.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, runs = batch.len(), "runs cannot be written");
                refuse(batch, &error);
                tries += 1;
                if stopping && tries > 1 {
                    counts.lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    batch.clear();
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The run each offered key belongs to, in the order of the accepted entries.
type FirstOfKey = Vec<Option<Uuid>>;

async fn write_batch(database: &Database, batch: &[Entry]) -> Result<FirstOfKey> {
    let keys: Vec<_> = batch
        .iter()
        .filter_map(|entry| match entry {
            Entry::Accept { row, key: Some(key), .. } => Some((row, key.as_str())),
            _ => None,
        })
        .collect();
    let first_of_key = write!(database, |tx| {
        let mut firsts = Vec::with_capacity(keys.len());
        for (row, key) in &keys {
            let made = sqlx::query(
                "INSERT INTO run_key (org, function_name, idempotency, run_id, created_ms) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(&row.org)
            .bind(&row.function_name)
            .bind(*key)
            .bind(row.id)
            .bind(now_ms())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if made == 1 {
                firsts.push(None);
                continue;
            }
            let (first,): (Uuid,) = sqlx::query_as(
                "SELECT run_id FROM run_key WHERE org = $1 AND function_name = $2 \
                 AND idempotency = $3",
            )
            .bind(&row.org)
            .bind(&row.function_name)
            .bind(*key)
            .fetch_one(&mut *tx)
            .await?;
            firsts.push(Some(first));
        }
        let (new, changed) = rows(batch, &firsts);
        write_rows!(tx, &new, &changed);
        firsts
    });
    Ok(first_of_key)
}

/// What has to be inserted and what has to be updated; runs whose key was taken are neither.
fn rows(batch: &[Entry], firsts: &[Option<Uuid>]) -> (Vec<RunRow>, Vec<RunRow>) {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    let mut firsts = firsts.iter();
    for entry in batch {
        match entry {
            Entry::Record(row) => new.push(row.clone()),
            Entry::Accept { row, key: None, .. } => new.push(row.clone()),
            Entry::Accept { row, key: Some(_), .. } => {
                if firsts.next().is_some_and(Option::is_none) {
                    new.push(row.clone());
                }
            }
            Entry::Change { row, .. } => changed.push(row.clone()),
            Entry::Flush(_) => {}
        }
    }
    (last_of_each(new), last_of_each(changed))
}

/// Tells everybody that their entry is written. Who no longer waits is not missed.
fn answer(batch: impl Iterator<Item = Entry>, first_of_key: FirstOfKey) {
    let mut firsts = first_of_key.into_iter();
    for entry in batch {
        match entry {
            Entry::Record(_) => {}
            Entry::Accept { key, reply, .. } => {
                let first = key.and_then(|_| firsts.next().flatten());
                let _ = reply.send(Ok(first));
            }
            Entry::Change { reply, .. } | Entry::Flush(reply) => {
                let _ = reply.send(Ok(()));
            }
        }
    }
}

/// Tells those who wait that it failed and keeps the rest.
fn refuse(batch: &mut Vec<Entry>, error: &Error) {
    let copy = || match error {
        Error::Full => Error::Full,
        other => Error::Unavailable(other.to_string()),
    };
    let kept = batch.drain(..).filter_map(|entry| match entry {
        Entry::Record(row) => Some(Entry::Record(row)),
        Entry::Accept { reply, .. } => {
            let _ = reply.send(Err(copy()));
            None
        }
        Entry::Change { reply, .. } | Entry::Flush(reply) => {
            let _ = reply.send(Err(copy()));
            None
        }
    });
    *batch = kept.collect();
}

//! One task writes all runs, many in a transaction (group commit).
//!
//! Guarantees: an accepted run is committed before its caller hears of it. A recorded run waits in
//! bounded memory; while the database fails it is kept and tried again, and new ones are given up
//! (and counted) only when there has been no room for [`PATIENCE`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::database::Database;
use crate::run_batch::RunRow;
use crate::run_commit::commit;
use crate::{Error, Result, RunWriterStats};

/// Most entries of one transaction.
const BATCH: usize = 2_048;
/// Longest time an invocation waits for room in the queue.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How long recorded runs, which nobody waits for, are gathered before they are committed. At
/// 40,000 runs a second 50 ms cost a third less CPU for each run than 10 ms do. Who reads runs does
/// not wait for it: reading flushes.
const GATHER: Duration = Duration::from_millis(50);
/// Pause after a failed write.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of one unit of room.
const UNIT: usize = 1_024;

/// Something to write.
pub(crate) enum Work {
    /// A finished run; nobody waits.
    Record(RunRow),
    /// A new run somebody waits for, with its idempotency key; answered with the run the key
    /// belongs to when it is another.
    Accept { row: RunRow, key: Option<String>, reply: oneshot::Sender<Result<Option<Uuid>>> },
    /// A change of a stored run.
    Change { row: RunRow, reply: oneshot::Sender<Result<()>> },
    /// Answered when all before it is written.
    Flush(oneshot::Sender<Result<()>>),
}

/// Work with the room it takes.
pub(crate) struct Entry {
    pub work: Work,
    units: u32,
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Work::Record(row) | Work::Accept { row, .. } | Work::Change { row, .. } => {
                row.body.len()
            }
            Work::Flush(_) => 0,
        }
    }
}

/// What the callers and the task share.
pub(crate) struct Shared {
    /// Room in the queue, in units of a KiB; each entry takes at least one.
    room: Semaphore,
    units: u32,
    /// Somebody waits for an answer: nothing is gathered.
    urgent: Notify,
    stop: Notify,
    queued: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
    last_error: std::sync::Mutex<Option<String>>,
}

impl Shared {
    fn units(&self, work: &Work) -> u32 {
        let units = u32::try_from(work.bytes().div_ceil(UNIT)).unwrap_or(u32::MAX);
        units.clamp(1, self.units)
    }

    pub fn failed(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut last) = self.last_error.lock() {
            *last = Some(error.to_string());
        }
    }

    /// Gives the room of entries back, and counts what became of them.
    pub fn done(&self, entries: &[Entry], written: bool) {
        let units: usize = entries.iter().map(|entry| entry.units as usize).sum();
        self.room.add_permits(units);
        let count = entries.len() as u64;
        self.queued.fetch_sub(count, Ordering::Relaxed);
        let counter = if written { &self.written } else { &self.lost };
        let flushes = entries.iter().filter(|e| matches!(e.work, Work::Flush(_))).count() as u64;
        counter.fetch_add(count - flushes, Ordering::Relaxed);
    }

    /// Gives the room of an entry back that was refused: its caller knows.
    pub fn refused(&self, entry: &Entry) {
        self.room.add_permits(entry.units as usize);
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct RunWriter {
    queue: mpsc::UnboundedSender<Entry>,
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl RunWriter {
    /// Starts the task; `units` is how many KiB of runs may wait.
    pub fn start(database: Database, units: usize) -> Self {
        let units = u32::try_from(units.max(1)).unwrap_or(u32::MAX);
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            room: Semaphore::new(units as usize),
            units,
            urgent: Notify::new(),
            stop: Notify::new(),
            queued: AtomicU64::default(),
            written: AtomicU64::default(),
            lost: AtomicU64::default(),
            failures: AtomicU64::default(),
            last_error: std::sync::Mutex::default(),
        });
        let task = tokio::spawn(run(database, receiver, shared.clone()));
        Self { queue: sender, shared, task: Some(task).into() }
    }

    /// Hands a finished run over. Waits only when there is no room, and then for a bounded time.
    pub async fn record(&self, row: RunRow) {
        if let Err(error) = self.send(Work::Record(row)).await {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "a finished run could not be recorded");
        }
    }

    /// Sends work and waits for its answer.
    pub async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<Result<T>>) -> Work) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.send(work(reply)).await?;
        self.shared.urgent.notify_one();
        answer.await.map_err(|_| closed())?
    }

    async fn send(&self, work: Work) -> Result<()> {
        let units = self.shared.units(&work);
        let room = &self.shared.room;
        let permit = match room.try_acquire_many(units) {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(PATIENCE, room.acquire_many(units)).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(closed()),
                Err(_) => return Err(Error::Unavailable("too many runs wait".to_owned())),
            },
        };
        permit.forget();
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        self.queue.send(Entry { work, units }).map_err(|unsent| {
            self.shared.refused(&unsent.0);
            closed()
        })
    }

    pub fn stats(&self) -> RunWriterStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RunWriterStats {
            queued: read(&self.shared.queued),
            written: read(&self.shared.written),
            lost: read(&self.shared.lost),
            failures: read(&self.shared.failures),
            last_error: self.shared.last_error.lock().ok().and_then(|last| last.clone()),
        }
    }

    /// Writes what waits and ends the task.
    pub async fn stop(&self) {
        self.shared.stop.notify_one();
        if let Some(task) = self.task.lock().await.take() {
            // The task does not panic; were it cancelled there would be nothing to wait for.
            let _ = task.await;
        }
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".to_owned())
}

async fn run(database: Database, mut queue: mpsc::UnboundedReceiver<Entry>, shared: Arc<Shared>) {
    let mut batch = Vec::with_capacity(BATCH);
    // While the database fails, what has to be tried again stays in the batch until this time.
    let mut again: Option<Instant> = None;
    loop {
        if batch.is_empty() {
            let received = tokio::select! {
                biased;
                received = queue.recv_many(&mut batch, BATCH) => received,
                () = shared.stop.notified() => {
                    // What was sent before the stop is still taken; then the channel is empty.
                    queue.close();
                    continue;
                }
            };
            if received == 0 {
                return;
            }
        }
        gather(&mut batch, &mut queue, &shared, again).await;
        let stopping = queue.is_closed();
        let failed_before = again.is_some();
        again = None;
        if let Err(error) = commit(&database, &mut batch, &shared).await {
            tracing::error!(%error, runs = batch.len(), "runs cannot be written");
            if stopping && failed_before {
                shared.done(&batch, false);
                batch.clear();
            }
            again = Some(Instant::now() + PAUSE);
        }
    }
}

/// Adds what comes while nobody waits for an answer, or, after a failure, until the next attempt.
async fn gather(
    batch: &mut Vec<Entry>,
    queue: &mut mpsc::UnboundedReceiver<Entry>,
    shared: &Shared,
    again: Option<Instant>,
) {
    match again {
        Some(time) => tokio::time::sleep_until(time).await,
        None => {
            let all_records = batch.iter().all(|entry| matches!(entry.work, Work::Record(_)));
            if all_records && batch.len() < BATCH && !queue.is_closed() {
                tokio::select! {
                    () = shared.urgent.notified() => {}
                    () = shared.stop.notified() => queue.close(),
                    () = tokio::time::sleep(GATHER) => {}
                }
            }
        }
    }
    while batch.len() < BATCH
        && let Ok(entry) = queue.try_recv()
    {
        batch.push(entry);
    }
}

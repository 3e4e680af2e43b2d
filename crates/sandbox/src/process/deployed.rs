//! The workers of one deployment.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch_driver::Deployment;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::network::Network;
use super::pool::Kind;
use super::worker::Worker;

pub struct Deployed {
    pub deployment: Deployment,
    /// What runs it.
    pub kind: Kind,
    /// Name of the directory of its unpacked source.
    pub source: String,
    /// What its workers reach, when that is anything.
    pub network: Option<Arc<Network>>,
    /// One permit for each call that may run at the same time; waiters are served in order.
    pub turns: Arc<Semaphore>,
    /// The one used last is at the end and used first, so that the others grow old.
    idle: Mutex<Vec<Worker>>,
    removed: AtomicBool,
}

impl Deployed {
    pub fn new(
        deployment: Deployment,
        kind: Kind,
        source: String,
        network: Option<Network>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(deployment.concurrency.max(1) as usize));
        let idle = Mutex::new(Vec::new());
        let (network, removed) = (network.map(Arc::new), AtomicBool::new(false));
        Self { deployment, kind, source, network, turns, idle, removed }
    }

    pub fn take_idle(&self) -> Option<Worker> {
        self.lock().pop()
    }

    /// Keeps a worker for the next call, unless there will be none.
    pub fn put_idle(&self, mut worker: Worker) {
        worker.idle_since = Instant::now();
        let mut idle = self.lock();
        if !self.removed.load(Ordering::Acquire) {
            idle.push(worker);
        }
    }

    pub fn idle_count(&self) -> usize {
        self.lock().len()
    }

    /// Stops workers that were idle for too long, the oldest first.
    pub fn stop_aged(&self, now: Instant) {
        let limit = self.deployment.idle;
        let mut idle = self.lock();
        let aged = idle.partition_point(|w| now.duration_since(w.idle_since) >= limit);
        let stopped: Vec<_> = idle.drain(..aged).collect();
        drop(idle);
        drop(stopped);
    }

    /// Stops the worker that was idle longest; true when there was one.
    pub fn stop_oldest(&self) -> bool {
        let mut idle = self.lock();
        let oldest = (!idle.is_empty()).then(|| idle.remove(0));
        drop(idle);
        oldest.is_some()
    }

    /// How long its oldest idle worker has been idle.
    pub fn oldest_idle(&self, now: Instant) -> Option<Duration> {
        self.lock().first().map(|w| now.duration_since(w.idle_since))
    }

    /// Stops idle workers now and the busy ones when their call ends.
    pub fn retire(&self) {
        let mut idle = self.lock();
        self.removed.store(true, Ordering::Release);
        let stopped = std::mem::take(&mut *idle);
        drop(idle);
        drop(stopped);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().expect("nothing panics while it holds this lock")
    }
}

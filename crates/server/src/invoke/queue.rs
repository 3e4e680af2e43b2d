//! Non-blocking runs: durable first, then executed by this server or by any other.
//!
//! A run that fits into memory is stored with a lease of this server and begins at once. What
//! does not fit stays in the store without one, until a server that has room claims it. Leases
//! are renewed while their runs wait or work, so the runs of a server that dies go on elsewhere.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dispatch_model::{Run, Violation, code};
use dispatch_store::{Accepted, Error as StoreError, Lease};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::active::Guard;
use super::attempt::now_us;
use super::detach::Detach;
use super::invoker::Invoker;
use super::meter::Admitted;
use super::request::{IDEMPOTENCY_KEY, RunRequest};
use super::settings::Settings;
use crate::app::{Error, Result};

/// Memory a queued run takes beside its JSON, in KiB.
const RUN_KIB: usize = 4;
/// Most runs claimed at once.
const CLAIM: u32 = 64;

/// What this server holds of the queue.
pub struct Queue {
    /// In KiB.
    room: Arc<Semaphore>,
    room_kib: usize,
    owner: Uuid,
    lease: Duration,
    /// Told when there may be runs to claim.
    wake: Arc<Notify>,
    /// Unix microseconds; the earliest retry this server knows of.
    next_due_us: AtomicI64,
}

impl Queue {
    pub fn new(settings: &Settings) -> Self {
        let room_kib = (settings.queue_bytes / 1_024).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(room_kib)),
            room_kib,
            owner: Uuid::now_v7(),
            lease: Duration::from_secs(settings.lease_s.max(1)),
            wake: Arc::default(),
            next_due_us: AtomicI64::new(i64::MAX),
        }
    }

    pub fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    pub fn lease_time(&self) -> Duration {
        self.lease
    }

    /// A lease that begins now.
    pub fn lease(&self) -> Lease {
        Lease { owner: self.owner, until_us: now_us() + micros(self.lease) }
    }

    /// Looks for runs again at this time at the latest.
    pub fn expect(&self, due_us: i64) {
        self.next_due_us.fetch_min(due_us, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Memory for a run, as permits; a run larger than all of it takes all of it.
    fn kib(&self, run: &Run) -> u32 {
        let parts = [&run.input, &run.event, &run.http_context];
        let bytes: usize = parts.into_iter().flatten().map(|json| json.get().len()).sum();
        let kib = (RUN_KIB + bytes / 1_024).min(self.room_kib);
        u32::try_from(kib).unwrap_or(u32::MAX)
    }

    /// How long to wait before looking again, when nobody calls.
    fn pause(&self, poll: Duration) -> Duration {
        let due_us = self.next_due_us.load(Ordering::Relaxed);
        let until_due = u64::try_from(due_us.saturating_sub(now_us())).unwrap_or(0);
        poll.min(Duration::from_micros(until_due))
    }
}

pub fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)
}

impl Invoker {
    /// Takes a run that nobody waits for. It is durable when this returns, and it will be
    /// executed at least once, however often servers die.
    ///
    /// # Errors
    /// When the function is not there or not READY, the organization may run no more now, or the
    /// run could not be stored.
    pub async fn accept(self: &Arc<Self>, request: RunRequest) -> Result<Run> {
        if self.stop.is_cancelled() {
            return Err(Error::unavailable(code::API010, "the server is stopping"));
        }
        request.check(&self.settings)?;
        let callable = self.callable(&request.org, &request.function).await?;
        let admitted = self.admit(&callable)?;
        let request_id = request.request_id.clone();
        let key = request.idempotency_key.clone();
        let (_, run) = self.begin_run(&callable, request, false).await?;
        Detach::new(self.clone().enqueue(run, request_id, key, admitted)).await
    }

    async fn enqueue(
        self: Arc<Self>,
        run: Run,
        request_id: Arc<str>,
        key: Option<String>,
        admitted: Admitted,
    ) -> Result<Run> {
        let room = self.queue.room.clone().try_acquire_many_owned(self.queue.kib(&run)).ok();
        let held = room.map(|room| (room, self.active.enter(run.id)));
        let lease = held.as_ref().map(|_| self.queue.lease());
        match self.offer(&run, key.as_deref(), lease).await? {
            Accepted::Existing(mut first) => {
                self.active.overlay(&mut first);
                Ok(*first)
            }
            Accepted::New => {
                self.tell(&run);
                match held {
                    Some((room, guard)) => {
                        self.begin(run.clone(), request_id, (guard, room, admitted));
                    }
                    None => self.queue.wake.notify_one(),
                }
                Ok(run)
            }
        }
    }

    /// Stores a run, unless its key was used before.
    pub(super) async fn offer(
        &self,
        run: &Run,
        key: Option<&str>,
        lease: Option<Lease>,
    ) -> Result<Accepted> {
        match self.store.run_accept(run, key, lease).await {
            Err(StoreError::Missing) => {
                let rule = "was used for a run that has been deleted since; use another";
                Err(Violation::new(IDEMPOTENCY_KEY, rule).into())
            }
            other => Ok(other?),
        }
    }

    fn begin(
        self: &Arc<Self>,
        run: Run,
        request_id: Arc<str>,
        held: (Guard, OwnedSemaphorePermit, Admitted),
    ) {
        let invoker = self.clone();
        self.tasks.spawn(async move {
            invoker.work(run, &request_id, &held.0).await;
            drop(held);
        });
    }

    /// Claims runs that nobody works on, as long as there are some and there is room.
    async fn claim(self: &Arc<Self>) -> Result<()> {
        while self.queue.room.available_permits() > 0 && !self.stop.is_cancelled() {
            self.queue.next_due_us.store(i64::MAX, Ordering::Relaxed);
            let claimed = self.store.run_claim(self.queue.lease(), CLAIM).await?;
            let full = claimed.len() == CLAIM as usize;
            // All are listed before the first waits for room, so that all leases are renewed.
            let listed: Vec<(Run, Guard)> = claimed
                .into_iter()
                .map(|run| {
                    let guard = self.active.enter(run.id);
                    (run, guard)
                })
                .collect();
            for (run, guard) in listed {
                let room = self.queue.room.clone().acquire_many_owned(self.queue.kib(&run)).await;
                let room = room.expect("the semaphore is never closed");
                // The id of the request died with the server that took it.
                let request_id = run.id.to_string().into();
                let admitted = self.loader.usage.meter(&run.org, &run.function_name).enter();
                self.begin(run, request_id, (guard, room, admitted));
            }
            if !full {
                break;
            }
        }
        Ok(())
    }

    /// A lease of this server that begins now, and how long it is.
    pub fn lease(&self) -> (Lease, Duration) {
        (self.queue.lease(), self.queue.lease_time())
    }

    /// Gives the runs this server still holds back to the store.
    pub(super) async fn give_back(&self) {
        let ids = self.active.ids();
        if ids.is_empty() {
            return;
        }
        if let Err(error) = self.store.run_release(self.queue.owner, &ids).await {
            tracing::error!(%error, "runs could not be given back; they wait for their leases");
        }
    }

    /// Renews the leases of all runs this server holds.
    async fn renew(&self) -> Result<()> {
        let ids = self.active.ids();
        if !ids.is_empty() {
            self.store.run_renew(self.queue.lease(), &ids).await?;
        }
        Ok(())
    }
}

/// Claims runs until the invoker stops or is gone.
pub async fn poll(invoker: Weak<Invoker>, wake: Arc<Notify>, stop: CancellationToken) {
    if let Some(invoker) = invoker.upgrade()
        && let Err(error) = invoker.store.run_release_others(invoker.queue.owner).await
    {
        tracing::error!(%error, "runs of the server before this one wait for their leases");
    }
    loop {
        let Some(strong) = invoker.upgrade() else { return };
        if let Err(error) = strong.claim().await {
            tracing::error!(%error, "queued runs cannot be read");
        }
        let pause = strong.queue.pause(Duration::from_millis(strong.settings.poll_ms));
        drop(strong);
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Renews leases three times in the life of each, until the last run is done.
pub async fn keep_leases(invoker: Weak<Invoker>, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        let Some(invoker) = invoker.upgrade() else { return };
        if let Err(error) = invoker.renew().await {
            tracing::error!(%error, "leases of runs cannot be renewed");
        }
    }
}

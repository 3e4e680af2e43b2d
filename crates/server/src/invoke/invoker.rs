//! The invoker: what the gateway, the REST API and (later) the event plane run functions with.

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::{Name, OrgName, Run};
use dispatch_store::{Accepted, Store};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::active::Active;
use super::cache::Cache;
use super::callable::{Callable, Version};
use super::changes;
use super::detach::Detach;
use super::engines::Engines;
use super::loader::Loader;
use super::meter::Admitted;
use super::metrics::RunMetrics;
use super::permits::Permits;
use super::placed::Placed;
use super::queue::{Queue, keep_leases, poll};
use super::request::RunRequest;
use super::retention::retain;
use super::settings::Settings;
use super::usage::Usage;
use crate::app::{Error, Result};
use crate::secrets::Secrets;

/// News of runs that a slow follower may fall behind by.
const FEED: usize = 1_024;

/// Runs functions. One for each server, shared.
pub struct Invoker {
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) loader: Loader,
    pub(super) callables: Cache<Callable>,
    pub(super) active: Active,
    pub(super) queue: Queue,
    pub(super) feed: broadcast::Sender<Arc<Run>>,
    pub(super) metrics: Arc<RunMetrics>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Stops the background tasks of an invoker that nobody holds any more.
    _stop_on_drop: DropGuard,
}

impl Invoker {
    /// Makes the invoker and starts its background tasks: following changes, executing queued
    /// runs, deleting old ones.
    pub fn new(
        store: Store,
        secrets: Arc<Secrets>,
        engines: Engines,
        metrics: Arc<RunMetrics>,
        settings: Settings,
    ) -> Arc<Self> {
        let loader = Loader {
            store: store.clone(),
            opener: secrets,
            metrics: metrics.clone(),
            engines,
            secrets: Cache::new(),
            permits: Permits::default(),
            placed: Arc::new(Placed::default()),
            usage: Usage::default(),
            changed: Notify::new(),
            ready_wait: Duration::from_millis(settings.ready_wait_ms),
        };
        let stop = CancellationToken::new();
        let invoker = Arc::new(Self {
            queue: Queue::new(&settings),
            store,
            settings,
            loader,
            callables: Cache::new(),
            active: Active::default(),
            feed: broadcast::channel(FEED).0,
            metrics,
            tasks: TaskTracker::new(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        });
        invoker.start();
        invoker
    }

    fn start(self: &Arc<Self>) {
        let (settings, stop) = (&self.settings, &self.stop);
        let weak = || Arc::downgrade(self);
        let seconds = |s: u64| Duration::from_secs(s.max(1));
        tokio::spawn(changes::follow(weak(), self.store.clone(), stop.clone()));
        tokio::spawn(changes::forget_idle(weak(), seconds(settings.cache_idle_s), stop.clone()));
        tokio::spawn(poll(weak(), self.queue.wake(), stop.clone()));
        tokio::spawn(keep_leases(weak(), self.queue.lease_time()));
        tokio::spawn(retain(weak(), seconds(settings.retention_interval_s), stop.clone()));
    }

    /// Runs a function while the caller waits. Answers with the finished run, also when it failed.
    /// A caller that stops waiting does not stop the run.
    ///
    /// # Errors
    /// When the function is not there or not READY, the organization may run no more now, or a
    /// keyed request could not be stored.
    pub async fn run(self: &Arc<Self>, request: RunRequest) -> Result<Run> {
        request.check(&self.settings)?;
        let callable = self.callable(&request.org, &request.function).await?;
        let admitted = self.admit(&callable)?;
        let key = request.idempotency_key.clone();
        let request_id = request.request_id.clone();
        let (version, run) = self.begin_run(&callable, request, true).await?;
        let invoker = self.clone();
        let Some(key) = key else {
            return Ok(Detach::new(invoker.run_unkeyed(version, run, request_id, admitted)).await);
        };
        Detach::new(invoker.run_keyed(version, run, request_id, (key, admitted))).await
    }

    async fn run_unkeyed(
        self: Arc<Self>,
        version: Arc<Version>,
        mut run: Run,
        request_id: Arc<str>,
        admitted: Admitted,
    ) -> Run {
        self.perform(&version, &mut run, &request_id).await;
        // One that is made under the organization's name later would find it.
        if !version.meter.tenant.is_closed() {
            self.store.run_record(&run).await;
            self.tell(&run);
        }
        drop(admitted);
        run
    }

    /// A run with a key is stored before it begins, so that a repeat finds it.
    async fn run_keyed(
        self: Arc<Self>,
        version: Arc<Version>,
        mut run: Run,
        request_id: Arc<str>,
        (key, _admitted): (String, Admitted),
    ) -> Result<Run> {
        let wait = version.timeout;
        let guard = self.active.enter(run.id);
        let lease = Some(self.queue.lease());
        match self.offer(&run, Some(&key), lease).await? {
            Accepted::Existing(first) => {
                drop(guard);
                self.wait_for(*first, wait).await
            }
            Accepted::New => {
                guard.begin();
                self.perform(&version, &mut run, &request_id).await;
                self.store.run_finish(&run).await?;
                self.tell(&run);
                Ok(run)
            }
        }
    }

    /// Waits until a run that is there already has ended, here or on another server.
    pub async fn wait_for(&self, mut run: Run, wait: Duration) -> Result<Run> {
        let deadline = tokio::time::Instant::now() + wait + self.queue.lease_time();
        while run.finished_us.is_none() {
            let look_again = tokio::time::sleep(Duration::from_millis(50));
            tokio::select! {
                () = self.active.ended(run.id), if self.active.holds(run.id) => {}
                () = look_again => {}
            }
            if tokio::time::Instant::now() > deadline {
                return Err(Error::Busy(format!("run {} has not ended yet", run.id)));
            }
            let id = run.id;
            let found = self.store.run_get(&run.org, id).await?;
            run = found.ok_or_else(|| Error::RunNotFound(id.to_string()))?;
        }
        Ok(run)
    }

    pub fn metrics(&self) -> &RunMetrics {
        &self.metrics
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Drops what is kept in memory of a function, so that the next run sees it as it is stored.
    pub fn forget(&self, org: &OrgName, function: &Name) {
        self.callables.forget(org.as_str(), function.as_str());
        self.loader.changed.notify_waiters();
    }

    /// Follows new and finished runs of all organizations.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Run>> {
        self.feed.subscribe()
    }

    /// Shows a stored run as it is at this moment.
    pub fn overlay(&self, run: &mut Run) {
        self.active.overlay(run);
    }

    /// Stops taking runs, waits a bounded time for those under way, and gives the rest back to
    /// the store.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        let limit = Duration::from_secs(self.settings.shutdown_s);
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(runs = self.active.len(), "runs were still under way at the stop");
        }
        self.give_back().await;
        self.tell_usage().await;
        if let Err(error) = self.store.flush().await {
            tracing::error!(%error, "the last runs could not be recorded");
        }
    }

    pub(super) fn tell(&self, run: &Run) {
        if self.feed.receiver_count() > 0 {
            // Without a receiver any more there is nobody to tell.
            let _ = self.feed.send(Arc::new(run.clone()));
        }
    }
}

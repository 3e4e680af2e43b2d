//! The audit log as the server keeps it: refused requests gathered before they are written, the
//! chain verified, old entries let go. Changes are written by the store, with what they change.

mod document;
mod gathered;
mod metrics;
mod settings;
mod verify;

pub use document::documents;
pub use settings::Settings;
pub use verify::Verdict;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch_model::audit::{Entry, Sealer};
use dispatch_model::resource::now_ms;
use dispatch_store::{Result, Store, Told};
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use gathered::Gathered;
use metrics::AuditMetrics;

/// How long refused requests are gathered before they are written.
const PAUSE: Duration = Duration::from_secs(1);
/// The same while there are crowds of them, at most.
const LONGEST: Duration = Duration::from_secs(60);
/// So many entries at once are a crowd.
const CROWD: usize = 20;

/// The log of this installation. One for each server, shared.
pub struct Audit {
    store: Store,
    sealer: Arc<dyn Sealer>,
    settings: Settings,
    metrics: AuditMetrics,
    gathered: Mutex<Gathered>,
    /// Somebody was refused.
    refused: Notify,
    /// One at a time: who waits for one knows that all before is written.
    flushing: tokio::sync::Mutex<()>,
    /// One at a time: each reads the whole log.
    verifying: tokio::sync::Mutex<()>,
}

impl Audit {
    pub fn new(
        store: Store,
        sealer: Arc<dyn Sealer>,
        settings: Settings,
        registry: &mut Registry,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            sealer,
            settings,
            metrics: AuditMetrics::register(registry),
            gathered: Mutex::default(),
            refused: Notify::new(),
            flushing: tokio::sync::Mutex::default(),
            verifying: tokio::sync::Mutex::default(),
        })
    }

    /// An entry on its way to the store.
    pub fn told(&self, entry: Entry) -> Told {
        Told { entry, sealer: self.sealer.clone() }
    }

    /// Takes down a refused request. It is written within a second, with others like it; in a
    /// flood within a minute. Costs memory up to a bound and no IO.
    pub fn refuse(&self, entry: Entry) {
        self.metrics.refused.inc();
        let named = self.gathered().add(entry);
        if !named {
            self.metrics.unnamed.inc();
        }
        self.refused.notify_one();
    }

    /// Writes refused requests until the server stops.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.refused.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.flush().await {
                Ok(wrote) if wrote < CROWD => PAUSE,
                _ => LONGEST.min(pause * 2),
            };
        }
    }

    /// Writes what was refused up to now. Returns how many entries that made. It goes on when who
    /// waits for it goes away.
    pub async fn flush(self: &Arc<Self>) -> Result<usize> {
        let audit = self.clone();
        let flushed = tokio::spawn(async move { audit.write_gathered().await }).await;
        flushed.unwrap_or_else(|error| Err(dispatch_store::Error::Database(error.to_string())))
    }

    async fn write_gathered(&self) -> Result<usize> {
        let _one = self.flushing.lock().await;
        let entries = self.gathered().take();
        let told: Vec<_> = entries.iter().map(|entry| self.told(entry.clone())).collect();
        if let Err(error) = self.store.audit_append(&told).await {
            tracing::warn!(%error, "refused requests cannot be written to the audit log");
            self.metrics.failures.inc();
            let mut gathered = self.gathered();
            for entry in entries {
                gathered.add(entry);
            }
            self.refused.notify_one();
            return Err(error);
        }
        Ok(told.len())
    }

    /// Lets go of entries that are older than the settings want them. Returns how many went.
    pub async fn retain(&self) -> Result<u64> {
        let Some(age_ms) = self.settings.max_age_ms() else { return Ok(0) };
        let mut total = 0;
        loop {
            let gone = self.store.audit_cut(now_ms() - age_ms, self.sealer.clone()).await?;
            total += gone;
            if gone == 0 {
                return Ok(total);
            }
        }
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

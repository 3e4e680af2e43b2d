//! A secret that is kept elsewhere, in memory for the time that is stated.
//!
//! Fresh values cost a use one load of a pointer. They are read again in the background before
//! their time ends, by whoever uses them then. While the store does not answer they are used for a
//! bounded time more; what the store says is gone is used no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dispatch_model::secret::SecretSpec;
use dispatch_model::{Name, OrgName};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::metrics::UseMetrics;
use super::{OpenError, Opened, Secrets};

/// Values, and until when they are what.
struct Kept {
    opened: Arc<Opened>,
    read: Instant,
    /// From then on they are read anew in the background.
    renew: Instant,
    fresh_until: Instant,
    usable_until: Instant,
}

/// A reading that failed: until then none is tried again.
struct Failed {
    until: Instant,
    error: OpenError,
}

pub struct Cached {
    secrets: Arc<Secrets>,
    org: OrgName,
    name: Name,
    spec: SecretSpec,
    cache: Duration,
    metrics: UseMetrics,
    kept: ArcSwapOption<Kept>,
    /// Whoever holds it reads.
    reading: Mutex<Option<Failed>>,
    renewing: AtomicBool,
}

impl Cached {
    /// `None` for a secret that is kept here.
    pub fn new(
        secrets: &Arc<Secrets>,
        org: &OrgName,
        name: &Name,
        spec: &SecretSpec,
    ) -> Option<Self> {
        let source = spec.content.source()?;
        let settings = &secrets.settings;
        let seconds = source.cache_s.unwrap_or(settings.cache_s).clamp(1, settings.max_cache_s);
        Some(Self {
            metrics: secrets.metrics.uses(&source.store),
            secrets: secrets.clone(),
            org: org.clone(),
            name: name.clone(),
            spec: spec.clone(),
            cache: Duration::from_secs(seconds),
            kept: ArcSwapOption::empty(),
            reading: Mutex::default(),
            renewing: AtomicBool::new(false),
        })
    }

    /// The values, read if they have to be.
    pub async fn get(self: &Arc<Self>) -> Result<Arc<Opened>, OpenError> {
        let now = Instant::now();
        if let Some(kept) = &*self.kept.load()
            && now < kept.fresh_until
        {
            if now >= kept.renew && !self.renewing.swap(true, Ordering::AcqRel) {
                tokio::spawn(self.clone().renew());
            }
            self.metrics.hits.inc();
            return Ok(self.used(kept, now));
        }
        // One reads; who has values that will do does not wait for it.
        let mut reading = match (self.reading.try_lock(), self.stale()) {
            (Ok(reading), _) => reading,
            (Err(_), Some(stale)) => return Ok(stale),
            (Err(_), None) => self.reading.lock().await,
        };
        let now = Instant::now();
        if let Some(kept) = &*self.kept.load()
            && now < kept.fresh_until
        {
            self.metrics.hits.inc();
            return Ok(self.used(kept, now));
        }
        match self.read(&mut reading).await {
            Ok(()) => {}
            Err(error) => return self.stale().ok_or(error),
        }
        let kept = self.kept.load();
        let kept = kept.as_ref().expect("what was just read is kept");
        Ok(self.used(kept, now))
    }

    fn used(&self, kept: &Kept, now: Instant) -> Arc<Opened> {
        self.metrics.age.set(now.saturating_duration_since(kept.read).as_secs_f64());
        kept.opened.clone()
    }

    /// Values past their time, while they may be used.
    fn stale(&self) -> Option<Arc<Opened>> {
        let (kept, now) = (self.kept.load(), Instant::now());
        let kept = kept.as_ref().filter(|kept| now < kept.usable_until)?;
        self.metrics.stale.inc();
        Some(self.used(kept, now))
    }

    /// Reads, unless that failed a moment ago.
    async fn read(&self, reading: &mut MutexGuard<'_, Option<Failed>>) -> Result<(), OpenError> {
        if let Some(failed) = &**reading
            && Instant::now() < failed.until
        {
            return Err(failed.error.clone());
        }
        let begun = Instant::now();
        match self.secrets.read(&self.org, &self.name, &self.spec).await {
            Ok(opened) => {
                **reading = None;
                let cache = opened.lease.unwrap_or(self.cache).min(self.cache);
                let stale = Duration::from_secs(self.secrets.settings.max_stale_s);
                // Never longer than the store itself lets them be used.
                let most = opened.lease.unwrap_or(Duration::MAX);
                self.kept.store(Some(Arc::new(Kept {
                    opened: Arc::new(opened),
                    read: begun,
                    renew: begun + cache * 3 / 4,
                    fresh_until: begun + cache,
                    usable_until: begun + (cache + stale).min(most),
                })));
                Ok(())
            }
            Err(error) => {
                if error.is_final {
                    self.kept.store(None);
                }
                let until = Instant::now() + Duration::from_millis(self.secrets.settings.retry_ms);
                **reading = Some(Failed { until, error: error.clone() });
                Err(error)
            }
        }
    }

    /// Reads again before the values' time ends, and again while that fails.
    async fn renew(self: Arc<Self>) {
        loop {
            let read = self.read(&mut self.reading.lock().await).await;
            let over = self.kept.load().as_ref().is_none_or(|k| Instant::now() >= k.fresh_until);
            if read.is_ok() || over {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.secrets.settings.retry_ms)).await;
        }
        self.renewing.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;

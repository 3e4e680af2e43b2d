//! Deletes finished runs by age and by number; the store does it a few at a time.

use std::sync::Weak;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::attempt::now_us;
use super::invoker::Invoker;
use crate::app::Result;

/// Keeps the number of stored runs in bounds until the invoker stops or is gone.
pub async fn retain(invoker: Weak<Invoker>, period: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(period);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(invoker) = invoker.upgrade() else { return };
        if let Err(error) = invoker.delete_old_runs().await {
            tracing::error!(%error, "old runs cannot be deleted");
        }
    }
}

impl Invoker {
    /// Deletes what is older, or more, than the settings keep. Returns how many.
    pub async fn delete_old_runs(&self) -> Result<u64> {
        let settings = &self.settings;
        let age_us =
            i64::try_from(settings.max_age_s).map_or(i64::MAX, |s| s.saturating_mul(1_000_000));
        let before_us = (settings.max_age_s > 0).then(|| now_us().saturating_sub(age_us));
        let most = (settings.max_per_function > 0).then_some(settings.max_per_function);
        let deleted = self.store.run_retain(before_us, most).await?;
        self.store.run_keys_trim().await?;
        Ok(deleted)
    }
}

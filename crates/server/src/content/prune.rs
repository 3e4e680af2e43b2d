//! Content that nothing needs any more.

use std::time::Duration;

use dispatch_images::content::Pruned;
use dispatch_images::{Digest, Result};
use dispatch_model::resource::now_ms;

use super::{Contents, store_failed};

impl Contents {
    /// Deletes, on this server's disk and in the store, what no resource has, no deployment runs
    /// on, and is older than `min_age`. With `dry` it only tells what that would be.
    pub async fn prune(&self, min_age: Duration, dry: bool) -> Result<Pruned> {
        let kept = self.store.content_in_use().await.map_err(store_failed)?;
        let kept: Vec<Digest> = kept.iter().filter_map(|digest| digest.parse().ok()).collect();
        let pruned = self.kept.content.prune(&kept, min_age, dry).await?;
        if !dry {
            self.metrics.pruned.inc_by(pruned.bytes);
            let age_ms = i64::try_from(min_age.as_millis()).unwrap_or(i64::MAX);
            let before_ms = now_ms().saturating_sub(age_ms);
            self.store.content_collect(before_ms).await.map_err(store_failed)?;
        }
        Ok(pruned)
    }
}

//! What has to be swept up now and then.

use std::time::Duration;

use dispatch_store::Store;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);

/// Trims the change log and deletes sources nobody names, until the server stops.
pub async fn run(store: Store, change_log: i64, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = store.trim_changes(change_log).await {
            tracing::warn!(%error, "the change log could not be trimmed");
        }
        match store.blob_collect().await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "sources nobody names were deleted"),
            Err(error) => tracing::warn!(%error, "unused sources could not be deleted"),
        }
    }
}

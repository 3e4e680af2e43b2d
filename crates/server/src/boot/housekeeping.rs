//! What has to be swept up now and then.

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::ResourceKind;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(600);
/// Pause after a failed reading.
const RETRY: Duration = Duration::from_secs(1);

/// Trims the change log and the audit log and deletes sources nobody names, until the server stops.
pub async fn run(app: Arc<App>, change_log: i64, stop: CancellationToken) {
    let store = &app.store;
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = store.trim_changes(change_log).await {
            tracing::warn!(%error, "the change log could not be trimmed");
        }
        match app.audit.retain().await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "old entries of the audit log were let go"),
            Err(error) => tracing::warn!(%error, "the audit log could not be trimmed"),
        }
        match store.blob_collect().await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "sources nobody names were deleted"),
            Err(error) => tracing::warn!(%error, "unused sources could not be deleted"),
        }
    }
}

/// Lets changes of policies, organizations and keys that other servers made hold here too.
pub async fn follow_access(app: Arc<App>, stop: CancellationToken) {
    let mut changes = app.store.changes();
    // What changed between the first reading and now was not heard of.
    let mut concerns = true;
    loop {
        while concerns && let Err(error) = app.reload_access().await {
            tracing::error!(%error, "policies and keys cannot be read");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => change,
        };
        concerns = match change {
            Ok(change) => matches!(
                change.kind,
                ResourceKind::Organization | ResourceKind::Policy | ResourceKind::ServiceAccount
            ),
            // Something was missed, so it may have been one of these.
            Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => return,
        };
    }
}

//! What has to be swept up now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_model::ResourceKind;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(600);
/// Pause after a failed reading.
const RETRY: Duration = Duration::from_secs(1);
/// Longest pause after a reading of policies: changes have to hold within a second.
const LONGEST_REST: Duration = Duration::from_millis(250);

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

/// Kinds that say who may do what, and who is who.
const ACCESS: [ResourceKind; 5] = [
    ResourceKind::Organization,
    ResourceKind::Policy,
    ResourceKind::Role,
    ResourceKind::Group,
    ResourceKind::ServiceAccount,
];

/// Lets changes of policies, roles, groups, organizations and keys that other servers made hold
/// here too. What changes while they are read is read once more, however much it is.
pub async fn follow_access(app: Arc<App>, stop: CancellationToken) {
    let mut changes = app.store.changes();
    // What changed between the first reading and now was not heard of.
    let mut concerns = true;
    loop {
        let begun = Instant::now();
        while concerns && let Err(error) = app.reload_access().await {
            tracing::error!(%error, "policies and keys cannot be read");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        if concerns {
            // However fast changes come, reading them takes at most half of the time.
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(begun.elapsed().min(LONGEST_REST)) => {}
            }
        }
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => change,
        };
        concerns = match change {
            Ok(change) => ACCESS.contains(&change.kind),
            // Something was missed, so it may have been one of these.
            Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => return,
        };
        // Those that have happened by now need no reading of their own.
        loop {
            match changes.try_recv() {
                Ok(change) => concerns |= ACCESS.contains(&change.kind),
                Err(TryRecvError::Lagged(_)) => concerns = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }
}

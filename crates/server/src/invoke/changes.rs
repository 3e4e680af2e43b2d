//! Keeps what is in memory true to the store.

use std::sync::Weak;
use std::time::Duration;

use dispatch_model::{OrgName, ResourceKind};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::invoker::Invoker;

/// Forgets what every change of a function, a secret or an image touches.
pub async fn follow(
    invoker: Weak<Invoker>,
    mut changes: Receiver<dispatch_store::Change>,
    stop: CancellationToken,
) {
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => change,
        };
        let Some(invoker) = invoker.upgrade() else { return };
        match change {
            Ok(change) => invoker.changed(change.kind, &change.org, change.name.as_str()),
            Err(RecvError::Lagged(_)) => invoker.forget_all(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Drops from memory what was not used for a while.
pub async fn forget_idle(invoker: Weak<Invoker>, period: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(period);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(invoker) = invoker.upgrade() else { return };
        invoker.callables.forget_idle();
        invoker.loader.secrets.forget_idle();
    }
}

impl Invoker {
    fn changed(&self, kind: ResourceKind, org: &OrgName, name: &str) {
        match kind {
            ResourceKind::Function => {
                self.callables.forget(org.as_str(), name);
                self.loader.changed.notify_waiters();
            }
            ResourceKind::Secret => {
                // First the secret, so that a function loaded again sees the new one.
                self.loader.secrets.forget(org.as_str(), name);
                self.callables.forget_where(org.as_str(), |c| c.uses_secret(name));
            }
            ResourceKind::Image => {
                self.callables.forget_where(org.as_str(), |c| c.image == name);
            }
            _ => {}
        }
    }

    fn forget_all(&self) {
        self.loader.secrets.clear();
        self.callables.clear();
        self.loader.changed.notify_waiters();
    }
}

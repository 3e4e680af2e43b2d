//! Keeps what is in memory true to the store.

use std::sync::Weak;
use std::time::Duration;

use dispatch_model::{OrgName, ResourceKind};
use dispatch_store::{Op, Store};
use tokio_util::sync::CancellationToken;

use super::invoker::Invoker;
use crate::app::Result;
use crate::app::feed::Feed;

/// Kinds that a callable is made of.
const KINDS: [ResourceKind; 5] = [
    ResourceKind::Function,
    ResourceKind::Secret,
    ResourceKind::Image,
    ResourceKind::Application,
    ResourceKind::Organization,
];
/// Pause before the change log is read again after that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Forgets what every change of a function, a secret or an image touches.
pub async fn follow(invoker: Weak<Invoker>, store: Store, stop: CancellationToken) {
    let reading = async {
        while let Err(error) = read(&invoker, &store).await {
            tracing::error!(%error, "the change log cannot be read");
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = reading => {}
    }
}

/// Returns when the invoker is gone.
async fn read(invoker: &Weak<Invoker>, store: &Store) -> Result<()> {
    let mut feed = Feed::new(store.clone(), None, &KINDS, None).await?;
    // What changed while the log was not read may be any of what is in memory.
    if let Some(invoker) = invoker.upgrade() {
        invoker.forget_all();
    }
    loop {
        let changes = feed.next().await?;
        let Some(invoker) = invoker.upgrade() else { return Ok(()) };
        for change in changes {
            if change.kind == ResourceKind::Organization {
                invoker.loader.usage.follow(store, &change.org).await?;
            }
            invoker.changed(change.kind, &change.org, change.name.as_str());
            if change.kind == ResourceKind::Function && change.op == Op::Removed {
                invoker.loader.placed.remove(&change.org, &change.name, change.id);
            }
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
            // Defaults of placement.
            ResourceKind::Application | ResourceKind::Organization => {
                self.callables.forget_where(org.as_str(), |_| true);
            }
            _ => {}
        }
    }

    /// Drops what is prepared for an engine, after another was put in its place or it was taken
    /// away: the next call of a function finds the one there is. Calls under way go on.
    pub fn forget_engine(&self, name: &str) {
        self.callables.forget_everywhere(|callable| callable.is_on(name));
        self.loader.placed.forget_engine(name);
    }

    /// Lets no run of an organization begin any more, and keeps nothing of it.
    pub fn close(&self, org: &OrgName) {
        self.loader.usage.close(org);
        self.callables.forget_where(org.as_str(), |_| true);
        self.loader.secrets.forget_where(org.as_str(), |_| true);
        self.loader.changed.notify_waiters();
    }

    /// Runs of an organization that have begun on this server and not ended.
    pub fn under_way(&self, org: &OrgName) -> u64 {
        self.loader.usage.under_way(org)
    }

    fn forget_all(&self) {
        self.loader.secrets.clear();
        self.callables.clear();
        self.loader.changed.notify_waiters();
    }
}

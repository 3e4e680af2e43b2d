//! Follows the change log: woken by the store's signal, read from the log itself, so that nothing
//! is missed and everything comes in order.

use std::time::Duration;

use dispatch_model::{OrgName, ResourceKind};
use dispatch_store::{Change, Store};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::Result;

/// Lines read at once.
const BATCH: u32 = 512;
/// How often the log is read without a signal, where other servers may write to it.
const SHARED_LOOK: Duration = Duration::from_millis(500);
/// Without other servers every change is signalled; nothing needs this look but a lost signal.
const ALONE_LOOK: Duration = Duration::from_secs(60);

/// A reader of the change log.
pub struct Feed {
    store: Store,
    org: Option<OrgName>,
    kinds: Vec<ResourceKind>,
    signal: Receiver<Change>,
    /// The last line read.
    seq: i64,
}

impl Feed {
    /// Follows changes of the kinds, in one organization or in all, after line `from` of the log,
    /// or from now on.
    pub async fn new(
        store: Store,
        org: Option<OrgName>,
        kinds: &[ResourceKind],
        from: Option<i64>,
    ) -> Result<Self> {
        // The signal first: a change between the two is then read twice rather than never.
        let signal = store.changes();
        let seq = match from {
            Some(seq) => seq,
            None => store.last_change().await?,
        };
        Ok(Self { store, org, kinds: kinds.to_vec(), signal, seq })
    }

    /// The last line read.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The next changes, at least one, oldest first. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Change>> {
        loop {
            let org = self.org.as_ref();
            let changes = self.store.changes_since(org, &self.kinds, self.seq, BATCH).await?;
            if let Some(last) = changes.last() {
                self.seq = last.seq;
                return Ok(changes);
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let look = if self.store.is_sqlite() { ALONE_LOOK } else { SHARED_LOOK };
        let deadline = Instant::now() + look;
        loop {
            match tokio::time::timeout_at(deadline, self.signal.recv()).await {
                Ok(Ok(change)) if !self.concerns(&change) => {}
                Ok(Err(RecvError::Closed)) => tokio::time::sleep_until(deadline).await,
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => return,
            }
        }
    }

    fn concerns(&self, change: &Change) -> bool {
        let org = self.org.as_ref().is_none_or(|org| *org == change.org);
        org && (self.kinds.is_empty() || self.kinds.contains(&change.kind))
    }
}

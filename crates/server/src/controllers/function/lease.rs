//! Which of several servers makes what a function needs.
//!
//! Two that do it at once would each find what it made outdated by the other, for ever. So the
//! write that says what is going to be made names the server too, for as long as its lease lasts;
//! it is renewed while the work goes on. When the server dies another takes over at its end.

use dispatch_model::Resource;
use dispatch_model::function::{Function, MakingLease};
use dispatch_model::resource::now_ms;
use tokio_util::sync::CancellationToken;

use super::super::reconcile::write;
use super::Functions;
use crate::app::Result;

impl Functions {
    /// A lease of this server that begins now.
    pub(super) fn lease(&self) -> MakingLease {
        let (lease, _) = self.0.invoker.lease();
        MakingLease { owner: lease.owner, until_us: lease.until_us }
    }

    fn is_ours(&self, lease: &MakingLease) -> bool {
        lease.owner == self.lease().owner
    }

    /// Whether another server is at work on a function, or is going to try again soon.
    pub(super) fn is_elsewhere(&self, function: &Resource<Function>) -> bool {
        // On SQLite a server is alone, and those before it are dead.
        let lease = function.status.lease.as_ref().filter(|_| !self.0.store.is_sqlite());
        lease.is_some_and(|lease| !self.is_ours(lease) && lease.until_us > now_ms() * 1_000)
    }

    /// Does some work, and renews the lease on the function meanwhile. Both go on side by side: a
    /// renewal that stopped the work would wait for ever for the connection the work holds.
    pub(super) async fn holding<T>(
        &self,
        function: &mut Resource<Function>,
        work: impl Future<Output = T>,
    ) -> T {
        let (_, lasts) = self.0.invoker.lease();
        let over = CancellationToken::new();
        let work = async {
            let _over = over.clone().drop_guard();
            work.await
        };
        let renewals = async {
            while tokio::time::timeout(lasts / 3, over.cancelled()).await.is_err() {
                if let Err(error) = self.renew(function).await {
                    let (org, name) = (&function.meta.org, &function.meta.name);
                    tracing::warn!(%org, %name, %error, "a function's lease cannot be renewed");
                }
            }
        };
        tokio::join!(work, renewals).0
    }

    async fn renew(&self, function: &mut Resource<Function>) -> Result<()> {
        if !function.status.lease.as_ref().is_some_and(|lease| self.is_ours(lease)) {
            return Ok(());
        }
        function.status.lease = Some(self.lease());
        if write(&self.0.store, function).await? {
            return Ok(());
        }
        // Somebody changed it. The work ends in vain, but until then nobody else is to begin.
        let (org, name) = (&function.meta.org, &function.meta.name);
        let found = self.0.store.by_name::<Function>(org, name).await?;
        let ours =
            |f: &Resource<Function>| f.status.lease.as_ref().is_some_and(|l| self.is_ours(l));
        if let Some(mut found) = found.filter(ours) {
            found.status.lease = Some(self.lease());
            write(&self.0.store, &mut found).await?;
        }
        Ok(())
    }
}

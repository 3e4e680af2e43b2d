//! What is stored about access, read again after it changed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use dispatch_access::{Policies, Stored};
use dispatch_model::group::Group;
use dispatch_model::organization::Organization;
use dispatch_model::policy::Policy;
use dispatch_model::role::Role;
use dispatch_model::{ListQuery, OrgName, State};
use dispatch_store::Store;
use tokio::sync::Mutex;

use super::Authorizer;
use super::metrics::AccessMetrics;

/// The setting that remembers that there was a policy. It is written before the first policy is
/// acknowledged, and at the next start if the server ended between the two.
const CONFIGURED: &str = "access.configured";

/// The state of readings.
#[derive(Debug, Default)]
pub struct Reload {
    configured: AtomicBool,
    /// Readings that have begun.
    begun: AtomicU64,
    /// The last one that holds. One reading at a time: an older must not land on a newer one.
    holds: Mutex<u64>,
}

impl Reload {
    pub fn was_configured(&self) -> bool {
        self.configured.load(Ordering::Acquire)
    }
}

impl Authorizer {
    pub async fn load(store: &Store) -> anyhow::Result<Arc<Self>> {
        let authorizer = Self {
            policies: ArcSwap::default(),
            reload: Reload::default(),
            metrics: AccessMetrics::default(),
        };
        authorizer.reload(store).await?;
        Ok(Arc::new(authorizer))
    }

    /// Makes policies, roles, groups and organizations hold as they are stored now, or later: of
    /// many who ask while one reading is under way, one reads for all.
    pub async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let begun = self.reload.begun.load(Ordering::Acquire);
        let mut holds = self.reload.holds.lock().await;
        if *holds > begun {
            return Ok(());
        }
        let number = self.reload.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let at = Instant::now();
        let stored = read(store).await?;
        self.remember(store, &stored).await?;
        let before = self.policies.load_full();
        // Thousands of rules take longer to compile than a thread that serves may be busy.
        let compiled = tokio::task::spawn_blocking(move || {
            let policies = Policies::new(&stored, Some(&before));
            (policies, stored.policies.len())
        });
        let (policies, count) = compiled.await.context("compiling policies")?;
        self.metrics.loaded(count, policies.broken().len(), at.elapsed());
        let known = self.policies.load();
        for broken in policies.broken().iter().filter(|broken| !known.broken().contains(broken)) {
            tracing::error!(%broken, "what is stored about access does not hold as it is written");
        }
        self.policies.store(Arc::new(policies));
        *holds = number;
        Ok(())
    }

    /// Local mode ends with the first policy, for good.
    async fn remember(&self, store: &Store, stored: &Stored) -> anyhow::Result<()> {
        if self.reload.was_configured() {
            return Ok(());
        }
        let mut configured = store.setting_get(CONFIGURED).await?.is_some();
        if !configured && !stored.policies.is_empty() {
            store.setting_put(CONFIGURED, "true").await?;
            configured = true;
        }
        self.reload.configured.store(configured, Ordering::Release);
        Ok(())
    }
}

async fn read(store: &Store) -> anyhow::Result<Stored> {
    let everything = ListQuery::default();
    let organizations = store.list_all::<Organization>(&everything).await?.items;
    // Of one that is being deleted nobody has rights any more, and nobody has rights in it.
    let (gone, there): (Vec<_>, Vec<_>) =
        organizations.into_iter().partition(|found| found.meta.state == State::Deleting);
    let gone: HashSet<OrgName> = gone.into_iter().map(|found| found.meta.org).collect();
    let policies = store.list_all::<Policy>(&everything).await?.items.into_iter();
    Ok(Stored {
        organizations: there
            .into_iter()
            .map(|organization| OrgName::trusted(organization.meta.name.as_str()))
            .collect(),
        policies: policies.filter(|policy| !gone.contains(&policy.meta.org)).collect(),
        roles: store.list_all::<Role>(&everything).await?.items,
        groups: store.list_all::<Group>(&everything).await?.items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_many_who_ask_while_one_reads_one_reads_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/t.db", folder.path().display());
        let store = Store::open(&url, dispatch_store::Options::default()).await.unwrap();
        let authorizer = Authorizer::load(&store).await.unwrap();
        let before = authorizer.reload.begun.load(Ordering::Acquire);
        let all = (0..50).map(|_| authorizer.reload(&store));
        futures::future::try_join_all(all).await.unwrap();
        // The first, and one that began after all others had asked.
        assert_eq!(authorizer.reload.begun.load(Ordering::Acquire) - before, 2);
    }
}

//! Warm interpreters that fork workers, and spares: workers forked before any function needs them.
//!
//! Most of a fresh worker's first call would go into making its namespaces. What is the same for
//! all functions is therefore done ahead; the function's source, its limits and the rules that
//! close the sandbox come when a function takes the spare. A spare serves one function only.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dispatch_driver::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::cgroup::Cgroup;
use super::control::Control;
use super::host::HostLanguage;
use super::plan::Launch;
use super::start::{Starter, base_environment};
use super::wires::Wires;
use super::{failure, language};

/// A spare that was taken is replaced after this time, which lets the call it was taken for end.
const REFILL_PAUSE: Duration = Duration::from_millis(20);

/// By language.
#[derive(Default)]
pub struct Pools {
    warm: Mutex<HashMap<String, Arc<Control>>>,
    spares: std::sync::Mutex<HashMap<String, Vec<Spare>>>,
    /// Held by the one who makes spares.
    refilling: Mutex<()>,
}

/// A worker that no function has yet.
pub struct Spare {
    pub wires: Wires,
    pub cgroup: Cgroup,
}

impl Pools {
    fn spares(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Spare>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything.
    pub async fn clear(&self) {
        self.warm.lock().await.clear();
        self.spares().clear();
    }
}

impl Starter {
    /// A worker that no function has: one kept for this, or a new one.
    pub(super) async fn spare(&self, host: &HostLanguage) -> Result<Spare, Error> {
        loop {
            let kept = self.pools.spares().get_mut(&host.language).and_then(Vec::pop);
            match kept {
                Some(spare) if spare.wires.is_quiet() => return Ok(spare),
                // Killed, or it could not be made: the one made now tells.
                Some(spare) => drop(self.graves.send(spare.cgroup)),
                None => return self.forked(host).await,
            }
        }
    }

    /// Makes spares until there are as many as there should be, a moment later.
    pub(super) fn refill(self: &Arc<Self>, host: &HostLanguage) {
        let (starter, host) = (Arc::downgrade(self), host.clone());
        tokio::spawn(async move {
            tokio::time::sleep(REFILL_PAUSE).await;
            let Some(starter) = starter.upgrade() else { return };
            if let Err(error) = starter.fill(&host).await {
                tracing::warn!(language = host.language, %error, "no spare worker");
            }
        });
    }

    /// Makes spares until there are as many as there should be.
    pub async fn fill(&self, host: &HostLanguage) -> Result<(), Error> {
        let Ok(_alone) = self.pools.refilling.try_lock() else { return Ok(()) };
        let kept = || self.pools.spares().get(&host.language).map_or(0, Vec::len);
        while kept() < self.config.spare_workers {
            let spare = self.forked(host).await?;
            self.pools.spares().entry(host.language.clone()).or_default().push(spare);
        }
        Ok(())
    }

    async fn forked(&self, host: &HostLanguage) -> Result<Spare, Error> {
        let (wires, theirs, cgroup) = self.wire()?;
        let request = serde_json::json!({ "steps": self.site.spare() });
        self.fork(host, request.to_string().as_bytes(), &theirs).await?;
        Ok(Spare { wires, cgroup })
    }

    /// Asks the language's pool for a worker; a pool that died is replaced once.
    async fn fork(
        &self,
        host: &HostLanguage,
        request: &[u8],
        theirs: &[OwnedFd],
    ) -> Result<(), Error> {
        let pool = self.pool(host).await?;
        if pool.send(request, theirs).await.is_ok() {
            return Ok(());
        }
        tracing::warn!(language = host.language, "the pool of warm interpreters died");
        self.pools.warm.lock().await.remove(&host.language);
        let pool = self.pool(host).await?;
        pool.send(request, theirs).await.map_err(|e| failure::engine("the pool", e))
    }

    /// The language's pool, started when there is none.
    async fn pool(&self, host: &HostLanguage) -> Result<Arc<Control>, Error> {
        let mut pools = self.pools.warm.lock().await;
        if let Some(pool) = pools.get(&host.language) {
            return Ok(pool.clone());
        }
        let launch = Launch {
            steps: self.site.pool(host),
            program: language::program(host, 0, None),
            environment: base_environment(),
        };
        let pool = Arc::new(self.launch(&launch, &[]).await?);
        let limit = Duration::from_millis(self.config.load_timeout_ms);
        let first = timeout(limit, pool.receive()).await;
        let first = first.map_err(|_| failure::engine("the pool", "it did not get ready"))?;
        match first.map_err(|e| failure::engine("the pool", e))?.as_slice() {
            b"ready" => {}
            [] => return Err(failure::engine("the pool", "it ended as it started")),
            text => return Err(failure::engine("the pool", String::from_utf8_lossy(text))),
        }
        pools.insert(host.language.clone(), pool.clone());
        Ok(pool)
    }
}

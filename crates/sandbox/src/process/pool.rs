//! Warm interpreters that fork workers, and spares: workers forked before any function needs them.
//!
//! Most of a fresh worker's first call would go into making its namespaces. What is the same for
//! all functions is therefore done ahead; the function's source, its limits and the rules that
//! close the sandbox come when a function takes the spare. A spare serves one function only.

mod started;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dispatch_driver::Error;
use dispatch_driver::language::Start;
use tokio::sync::Mutex;

use super::cgroup::Cgroup;
use super::control::Control;
use super::failure;
use super::host::HostLanguage;
use super::image::Image;
use super::root::{Base, Tree};
use super::start::Starter;
use super::wires::Wires;

/// A spare that was taken is replaced after this time, which lets the call it was taken for end.
const REFILL_PAUSE: Duration = Duration::from_millis(20);

/// By language: those of the machine, or of one image.
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

    /// The same for their owner, who is the only one left.
    pub fn end(&mut self) {
        self.warm.get_mut().clear();
        self.spares().clear();
    }
}

/// A language, and the image whose interpreter it is, if it is not the machine's.
#[derive(Clone)]
pub struct Kind {
    pub host: HostLanguage,
    pub image: Option<Arc<Image>>,
}

impl Kind {
    pub fn base(&self) -> Base<'_> {
        match self.image.as_ref().map(|image| &image.tree) {
            None => Base::Machine(&self.host),
            Some(Tree::Packages(directory)) => Base::Packages(&self.host, directory),
            Some(tree) => Base::Image(tree),
        }
    }

    /// The program that its workers or its pool start with, when that is one of the image's own.
    pub fn program_of_image(&self) -> Option<&str> {
        let of_image = matches!(self.base(), Base::Image(_));
        let starts = of_image && self.host.rules.run.start != Start::Bridge;
        self.host.interpreter.to_str().filter(|_| starts)
    }

    /// What the image's configuration sets.
    pub fn environment(&self) -> &[(String, String)] {
        self.image.as_ref().map_or(&[], |image| &image.environment)
    }
}

impl Starter {
    fn pools<'a>(&'a self, kind: &'a Kind) -> &'a Pools {
        kind.image.as_ref().map_or(&self.pools, |image| &image.pools)
    }

    /// A worker that no function has: one kept for this, or a new one.
    pub(super) async fn spare(&self, kind: &Kind) -> Result<Spare, Error> {
        loop {
            let kept = self.pools(kind).spares().get_mut(&kind.host.language).and_then(Vec::pop);
            match kept {
                Some(spare) if spare.wires.is_quiet() => return Ok(spare),
                // Killed, or it could not be made: the one made now tells.
                Some(spare) => drop(self.graves.send(spare.cgroup)),
                None => return self.forked(kind).await,
            }
        }
    }

    /// Makes spares until there are as many as there should be, a moment later.
    pub(super) fn refill(self: &Arc<Self>, kind: &Kind) {
        let (starter, kind) = (Arc::downgrade(self), kind.clone());
        tokio::spawn(async move {
            tokio::time::sleep(REFILL_PAUSE).await;
            let Some(starter) = starter.upgrade() else { return };
            if let Err(error) = starter.fill(&kind).await {
                tracing::warn!(language = kind.host.language, %error, "no spare worker");
            }
        });
    }

    /// Makes spares until there are as many as there should be.
    pub async fn fill(&self, kind: &Kind) -> Result<(), Error> {
        let Ok(_alone) = self.pools(kind).refilling.try_lock() else { return Ok(()) };
        let kept = || self.pools(kind).spares().get(&kind.host.language).map_or(0, Vec::len);
        while kept() < self.config.spare_workers {
            let spare = self.forked(kind).await?;
            self.pools(kind).spares().entry(kind.host.language.clone()).or_default().push(spare);
        }
        Ok(())
    }

    async fn forked(&self, kind: &Kind) -> Result<Spare, Error> {
        let (wires, theirs, cgroup) = self.wire()?;
        let request = serde_json::json!({ "steps": self.site.spare() });
        self.fork(kind, request.to_string().as_bytes(), &theirs).await?;
        Ok(Spare { wires, cgroup })
    }

    /// Asks the language's pool for a worker; a pool that died is replaced once.
    async fn fork(&self, kind: &Kind, request: &[u8], theirs: &[OwnedFd]) -> Result<(), Error> {
        let pool = self.pool(kind).await?;
        if pool.send(request, theirs).await.is_ok() {
            return Ok(());
        }
        tracing::warn!(language = kind.host.language, "the pool of warm interpreters died");
        self.pools(kind).warm.lock().await.remove(&kind.host.language);
        let pool = self.pool(kind).await?;
        pool.send(request, theirs).await.map_err(|e| failure::engine("the pool", e))
    }

    /// The language's pool, started when there is none.
    async fn pool(&self, kind: &Kind) -> Result<Arc<Control>, Error> {
        let mut pools = self.pools(kind).warm.lock().await;
        if let Some(pool) = pools.get(&kind.host.language) {
            return Ok(pool.clone());
        }
        let pool = Arc::new(self.started(kind).await?);
        pools.insert(kind.host.language.clone(), pool.clone());
        Ok(pool)
    }
}

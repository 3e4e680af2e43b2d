//! The engine contract over components.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use dashmap::DashMap;
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Error, Health, Observed, Outcome, Phases, Result,
    Retry, SourceStore,
};
use dispatch_model::code;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::cache::Cache;
use super::call;
use super::config::WasmConfig;
use super::deployed::Deployed;
use super::egress::Egress;
use super::http_client::Tls;
use super::interpreter::Interpreters;

/// Runs components in this process. Made once for a server.
pub struct WasmEngine {
    config: WasmConfig,
    cache: Cache,
    deployed: DashMap<Uuid, Arc<Deployed>>,
    /// Memories of the pool that are free.
    pool: Arc<Semaphore>,
    running: AtomicU64,
    /// Whom components trust that have egress.
    tls: Tls,
    stopped: AtomicBool,
}

impl WasmEngine {
    /// Reserves the pool's address space and looks for the tools that make components.
    ///
    /// # Errors
    /// `Fault::Ours` when the cache directory is not usable, the pool does not fit, or
    /// `wasm.ca_file` cannot be read.
    pub fn start(config: WasmConfig, sources: Arc<dyn SourceStore>) -> Result<Arc<WasmEngine>> {
        let interpreters = Interpreters::find(&config);
        let cache = Cache::open(&config, interpreters, sources)?;
        Ok(Arc::new(Self {
            cache,
            deployed: DashMap::new(),
            pool: Arc::new(Semaphore::new(config.max_instances.max(1) as usize)),
            running: AtomicU64::new(0),
            tls: Tls::new(&config.ca_file)?,
            stopped: AtomicBool::new(false),
            config,
        }))
    }

    /// Components compiled since the start, for metrics; the cache saves the others.
    pub fn compilations(&self) -> u64 {
        self.cache.compilations()
    }

    async fn make(&self, deployment: &Deployment) -> Result<Arc<Deployed>> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::backend(code::ENGINE006, Retry::Never, "the engine has stopped"));
        }
        let to_machine = self.config.egress_to_machine;
        let egress = Egress::new(&deployment.egress, to_machine, &self.tls).await?;
        let compiled = self.cache.get(deployment).await?;
        let pool = self.pool.clone();
        Ok(Arc::new(Deployed::new(deployment, compiled, egress, &self.config, pool)?))
    }
}

#[async_trait]
impl Engine for WasmEngine {
    fn name(&self) -> &str {
        "wasm"
    }

    fn capabilities(&self) -> Capabilities {
        let interpreters = self.cache.interpreters();
        let mut languages = vec!["wasm".to_owned()];
        languages.extend(interpreters.languages());
        Capabilities { languages, missing: interpreters.missing(), ..Capabilities::default() }
    }

    fn needs(&self, language: &str) -> Option<String> {
        self.cache.interpreters().needs(language).map(str::to_owned)
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let made = self.make(deployment).await?;
        let _turn = made.turn(Instant::now() + deployment.timeout).await?;
        call::try_out(&made).await
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        if !self.deployed.contains_key(&deployment.id) {
            let made = self.make(deployment).await?;
            self.deployed.entry(deployment.id).or_insert(made);
        }
        Ok(())
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        Ok(match self.deployed.contains_key(&id) {
            true => Observed::Ready { workers: 0 },
            false => Observed::Absent,
        })
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        let Some((_, removed)) = self.deployed.remove(&id) else { return Ok(()) };
        let key = &removed.compiled.key;
        if !self.deployed.iter().any(|other| other.compiled.key == *key) {
            self.cache.forget(key).await;
        }
        Ok(())
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        let deployed = self.deployed.get(&id).map(|found| found.clone()).ok_or_else(unknown)?;
        let asked = Instant::now();
        let _turn = deployed.turn(call.deadline).await?;
        let began = Instant::now();
        let _running = Running::enter(&self.running);
        let (result, logs) = call::run(&deployed, &call).await?;
        let phases = Phases { wait: began - asked, handler: began.elapsed(), cold: false };
        Ok(Outcome { result, logs, phases })
    }

    async fn health(&self) -> Health {
        let ok = !self.stopped.load(Ordering::Relaxed);
        let message = if ok { "ready" } else { "stopped" };
        Health { ok, message: message.to_owned() }
    }

    fn workers(&self) -> (u64, u64) {
        (self.running.load(Ordering::Relaxed), 0)
    }

    async fn shutdown(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.deployed.clear();
        self.pool.close();
    }
}

fn unknown() -> Error {
    let text = "the wasm engine does not hold the deployment";
    Error::backend(code::ENGINE007, Retry::Now, text).unreached()
}

/// Counts an instance for as long as it lives, also when its call is abandoned.
struct Running<'a>(&'a AtomicU64);

impl<'a> Running<'a> {
    fn enter(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

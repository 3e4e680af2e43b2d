//! A deployment that is callable here: its component, its limits and its turn-taking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_driver::{Deployment, Error, Result, Retry};
use dispatch_model::code;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::component::Compiled;
use super::config::WasmConfig;
use super::egress::Egress;

/// Bytes a guest may hand over beyond its answer: record fields, headers, a line it prints.
const TRANSFER_SLACK_BYTES: usize = 1 << 20;

pub struct Deployed {
    pub engine: wasmtime::Engine,
    pub compiled: Arc<Compiled>,
    pub environment: Vec<(String, String)>,
    pub egress: Egress,
    pub timeout: Duration,
    /// All linear memories of an instance together.
    pub memory_bytes: usize,
    pub max_log_bytes: usize,
    pub max_payload_bytes: usize,
    turns: Arc<Semaphore>,
    /// Memories left in the pool, shared by all deployments.
    pool: Arc<Semaphore>,
}

/// The right to run one instance.
pub struct Turn {
    _own: OwnedSemaphorePermit,
    _pool: OwnedSemaphorePermit,
}

impl Deployed {
    pub fn new(
        deployment: &Deployment,
        compiled: Arc<Compiled>,
        egress: Egress,
        config: &WasmConfig,
        pool: Arc<Semaphore>,
    ) -> Result<Self> {
        let max = config.max_memory_mib;
        let memory_mib = deployment.memory_mib;
        if memory_mib > max {
            let message = format!(
                "memoryMib: is {memory_mib}, the wasm engine gives an instance at most {max} MiB"
            );
            return Err(Error::caller(code::ENGINE003, message));
        }
        Ok(Self {
            engine: compiled.engine().clone(),
            compiled,
            environment: pairs(&deployment.environment),
            egress,
            timeout: deployment.timeout,
            memory_bytes: usize::try_from(memory_mib << 20).unwrap_or(usize::MAX),
            max_log_bytes: config.max_log_bytes,
            max_payload_bytes: config.max_payload_bytes,
            turns: Arc::new(Semaphore::new(deployment.concurrency.max(1) as usize)),
            pool,
        })
    }

    pub fn memory_mib(&self) -> u64 {
        (self.memory_bytes >> 20) as u64
    }

    pub fn max_transfer_bytes(&self) -> usize {
        self.max_payload_bytes.saturating_add(TRANSFER_SLACK_BYTES)
    }

    /// Waits until the function may run once more, first come first served.
    ///
    /// # Errors
    /// `ENGINE005` when the deadline passes first.
    pub async fn turn(&self, deadline: Instant) -> Result<Turn> {
        let weight = self.compiled.weight();
        let own = self.turns.clone().try_acquire_owned();
        let pool = self.pool.clone().try_acquire_many_owned(weight);
        if let (Ok(own), Ok(pool)) = (own, pool) {
            return Ok(Turn { _own: own, _pool: pool });
        }
        let mut waits_for_own = true;
        let both = async {
            let own = self.turns.clone().acquire_owned().await?;
            waits_for_own = false;
            let pool = self.pool.clone().acquire_many_owned(weight).await?;
            Ok(Turn { _own: own, _pool: pool })
        };
        match tokio::time::timeout_at(deadline.into(), both).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(AcquireError { .. })) => Err(stopping()),
            Err(_) => {
                let busy = |what| Error::backend(code::ENGINE005, Retry::Now, what).unreached();
                Err(match waits_for_own {
                    true => {
                        busy("all instances the function may have were busy until the deadline")
                            .of_deployment()
                    }
                    false => busy("the memory of all instances was taken until the deadline"),
                })
            }
        }
    }
}

fn stopping() -> Error {
    Error::backend(code::ENGINE006, Retry::Now, "the wasm engine is stopping").unreached()
}

fn pairs(environment: &BTreeMap<String, String>) -> Vec<(String, String)> {
    environment.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

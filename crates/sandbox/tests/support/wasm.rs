//! An engine over sources in memory, and deployments of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{Call, Deployment, Engine, Error, Outcome, Result, SourceStore};
use dispatch_model::{InvocationError, Logs, Name, OrgName};
use dispatch_sandbox::wasm::{WasmConfig, WasmEngine};
use tempfile::TempDir;
use uuid::Uuid;

/// Longest a call may take that is meant to succeed; wide, as machines that test are busy.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Sources(Mutex<HashMap<String, Bytes>>);

#[async_trait]
impl SourceStore for Sources {
    async fn read(&self, digest: &str) -> Result<Bytes> {
        let found = self.0.lock().unwrap().get(digest).cloned();
        found.ok_or_else(|| Error::ours("ENGINE006", "no such source"))
    }
}

pub struct Bench {
    pub engine: Arc<WasmEngine>,
    sources: Arc<Sources>,
    dir: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut WasmConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = WasmConfig {
            cache_dir: dir.path().join("cache"),
            max_instances: 64,
            egress_to_machine: true,
            ..WasmConfig::default()
        };
        change(&mut config);
        let sources = Arc::new(Sources::default());
        let engine = WasmEngine::start(config, sources.clone()).unwrap();
        Self { engine, sources, dir }
    }

    /// Another engine over the same cache directory and sources, as after a restart.
    pub fn restarted(self) -> Self {
        let config = WasmConfig {
            cache_dir: self.dir.path().join("cache"),
            max_instances: 64,
            ..WasmConfig::default()
        };
        let engine = WasmEngine::start(config, self.sources.clone()).unwrap();
        Self { engine, ..self }
    }

    pub fn cache_dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// A deployment of a source that is neither built nor ensured.
    pub fn deployment(&self, source: impl Into<Bytes>) -> Deployment {
        let digest = format!("sha256:{}", Uuid::new_v4().simple());
        self.sources.0.lock().unwrap().insert(digest.clone(), source.into());
        Deployment {
            id: Uuid::now_v7(),
            org: OrgName::new("dispatch").unwrap(),
            function: Name::new("function").unwrap(),
            version: 1,
            language: "wasm".to_owned(),
            image_url: "host:wasm".to_owned(),
            image_digest: None,
            function_image: None,
            handler: String::new(),
            source_digest: digest,
            environment: Default::default(),
            timeout: TIMEOUT,
            memory_mib: 64,
            concurrency: 16,
            idle: TIMEOUT,
            egress: Vec::new(),
            require: Default::default(),
        }
    }

    pub async fn deploy(&self, deployment: &Deployment) {
        self.engine.build(deployment).await.unwrap();
        self.engine.ensure(deployment).await.unwrap();
    }

    /// Builds a source and calls it once with `{}` as context.
    pub async fn call(&self, source: impl Into<Bytes>, payload: &str) -> Called {
        let deployment = self.deployment(source);
        self.deploy(&deployment).await;
        self.call_again(&deployment, payload).await
    }

    pub async fn call_again(&self, deployment: &Deployment, payload: &str) -> Called {
        let call = call("{}", payload, deployment.timeout);
        Called(self.engine.invoke(deployment.id, call).await.unwrap())
    }
}

pub fn call(context: &str, payload: &str, timeout: Duration) -> Call {
    Call {
        run_id: Uuid::now_v7(),
        context: Bytes::copy_from_slice(context.as_bytes()),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        deadline: Instant::now() + timeout,
    }
}

pub struct Called(pub Outcome);

impl Called {
    pub fn output(&self) -> serde_json::Value {
        let output = self.0.result.as_ref().expect("the call failed");
        serde_json::from_str(output.get()).unwrap()
    }

    pub fn error(&self) -> &InvocationError {
        self.0.result.as_ref().expect_err("the call did not fail")
    }

    pub fn logs(&self) -> &Logs {
        &self.0.logs
    }
}

/// A file of the examples or of the fixtures.
pub fn file(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (examples, fixtures) = (root.join("../../examples"), root.join("tests/fixtures/wasm"));
    let found = [examples.join(path), fixtures.join(path)].into_iter().find(|p| p.is_file());
    std::fs::read(found.unwrap_or_else(|| panic!("no file {path}"))).unwrap()
}

/// A component whose `handle` runs `body`, which leaves the address of its answer.
pub fn component(body: &str) -> Vec<u8> {
    let frame = String::from_utf8(file("frame.wat")).unwrap();
    frame.replace(";; BODY", body).into_bytes()
}

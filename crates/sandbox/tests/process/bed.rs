//! An engine over a temporary directory, and short ways to run handlers in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{Call, Deployment, Engine, ImageStore, Outcome, SourceStore};
use dispatch_model::{Name, OrgName};
use dispatch_sandbox::process::{ProcessConfig, ProcessEngine};
use uuid::Uuid;

#[derive(Default)]
pub struct Store(Mutex<BTreeMap<String, Bytes>>);

#[async_trait]
impl SourceStore for Store {
    async fn read(&self, digest: &str) -> dispatch_driver::Result<Bytes> {
        Ok(self.0.lock().unwrap()[digest].clone())
    }
}

impl Store {
    /// Keeps a source, and gives its digest.
    pub fn put(&self, source: impl Into<Bytes>) -> String {
        let digest = format!("sha256:{}", Uuid::new_v4().simple());
        self.0.lock().unwrap().insert(digest.clone(), source.into());
        digest
    }
}

pub struct Bed {
    pub engine: Arc<ProcessEngine>,
    pub directory: tempfile::TempDir,
    store: Arc<Store>,
}

impl Bed {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ProcessConfig)) -> Self {
        let bed = Self::unwell(change).await;
        let health = bed.engine.health().await;
        assert!(health.ok, "{}", health.message);
        bed
    }

    /// The same, also when the engine cannot work.
    pub async fn unwell(change: impl FnOnce(&mut ProcessConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path(), change);
        Self::made(directory, config, None).await
    }

    /// An engine that finds images in this store.
    pub async fn with_images(
        images: Arc<dyn ImageStore>,
        change: impl FnOnce(&mut ProcessConfig),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path(), change);
        Self::made(directory, config, Some(images)).await
    }

    async fn made(
        directory: tempfile::TempDir,
        config: ProcessConfig,
        images: Option<Arc<dyn ImageStore>>,
    ) -> Self {
        let store = Arc::new(Store::default());
        let engine = ProcessEngine::start(config, store.clone(), images).await.unwrap();
        Self { engine, directory, store }
    }

    /// Why an engine does not start.
    pub async fn refused(change: impl FnOnce(&mut ProcessConfig)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path(), change);
        let started = ProcessEngine::start(config, Arc::new(Store::default()), None).await;
        started.err().expect("it should not start").to_string()
    }

    /// A deployment of one file; `change` says how it differs from the usual.
    pub fn deployment(
        &self,
        language: &str,
        source: impl Into<Vec<u8>>,
        change: impl FnOnce(&mut Deployment),
    ) -> Deployment {
        let digest = self.store.put(source.into());
        let mut deployment = Deployment {
            id: Uuid::new_v4(),
            org: OrgName::new("dispatch").unwrap(),
            function: Name::new("tested").unwrap(),
            version: 1,
            language: language.to_owned(),
            image_url: format!("host:{language}"),
            image_digest: None,
            function_image: None,
            handler: String::new(),
            source_digest: digest,
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(20),
            memory_mib: 128,
            concurrency: 4,
            idle: Duration::from_secs(60),
            egress: Vec::new(),
            require: Default::default(),
        };
        change(&mut deployment);
        deployment
    }

    /// Whether the machine has the interpreter; says so loudly when not.
    pub fn has(&self, language: &str) -> bool {
        let has = self.engine.capabilities().languages.iter().any(|l| l == language);
        if !has {
            println!("could not run: no interpreter for {language} on this machine");
        }
        has
    }

    /// Whether groups of the kernel limit this: `memory`, `pids` or `cpu`; says so when not.
    pub fn limits(&self, controller: &str) -> bool {
        let sentence = format!("No cgroup with the {controller} controller");
        let missing = self.engine.capabilities().missing;
        let found = missing.iter().find(|m| m.starts_with(&sentence));
        if let Some(found) = found {
            println!("could not run: {found}");
        }
        found.is_none()
    }

    /// Builds a handler and gives its id.
    pub async fn build(&self, language: &str, source: &str) -> Uuid {
        let deployment = self.deployment(language, source, |_| {});
        self.engine.build(&deployment).await.unwrap();
        deployment.id
    }

    pub async fn python(&self, source: &str) -> Uuid {
        self.build("python3", source).await
    }

    pub async fn call(&self, id: Uuid, payload: &str) -> Outcome {
        self.engine.invoke(id, call(payload)).await.unwrap()
    }

    /// The result of a call that has to go well.
    pub async fn result(&self, id: Uuid, payload: &str) -> serde_json::Value {
        let outcome = self.call(id, payload).await;
        serde_json::from_str(outcome.result.unwrap().get()).unwrap()
    }

    /// The message of a call that has to fail.
    pub async fn error(&self, id: Uuid, payload: &str) -> String {
        self.call(id, payload).await.result.unwrap_err().message
    }

    /// Builds a Python handler, runs it once on `null` and gives what it returned.
    pub async fn run(&self, source: &str) -> serde_json::Value {
        let id = self.python(source).await;
        self.result(id, "null").await
    }
}

pub fn call(payload: &str) -> Call {
    Call {
        run_id: Uuid::new_v4(),
        context: Bytes::from_static(br#"{"secrets": {"key": "value"}}"#),
        payload: Bytes::from(payload.to_owned()),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

pub fn config(directory: &Path, change: impl FnOnce(&mut ProcessConfig)) -> ProcessConfig {
    let mut config = ProcessConfig {
        state_dir: directory.join("state"),
        init_exe: init_exe(),
        egress_to_machine: true,
        ..ProcessConfig::default()
    };
    change(&mut config);
    config
}

/// Tests run as an ordinary user get a copy they may read.
fn init_exe() -> PathBuf {
    match std::env::var_os("DISPATCH_SANDBOX_INIT") {
        Some(path) => path.into(),
        None => env!("CARGO_BIN_EXE_dispatch-sandbox-init").into(),
    }
}

/// Polls until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! The process engine keeps the contract of engines, in each language the suite has programs of.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_driver::conformance::{self, Bed, Limits, Program, Tried};
use dispatch_driver::{Deployment, Engine};
use dispatch_sandbox::process::{ProcessConfig, ProcessEngine};

use crate::bed::{self, Store};

struct Embedded {
    language: &'static str,
    broken: &'static str,
    config: ProcessConfig,
    store: Arc<Store>,
    engine: Mutex<Option<Arc<ProcessEngine>>>,
    _directory: tempfile::TempDir,
}

impl Embedded {
    async fn new(language: &'static str, broken: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = bed::config(directory.path(), |_| {});
        let store = Arc::new(Store::default());
        let engine = ProcessEngine::start(config.clone(), store.clone(), None).await.unwrap();
        let engine = Mutex::new(Some(engine));
        Self { language, broken, config, store, engine, _directory: directory }
    }
}

#[async_trait]
impl Bed for Embedded {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone().unwrap()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let source_digest = self.store.put(program.source(self.language).unwrap());
        Ok(Deployment { source_digest, ..program.deployment(self.language) })
    }

    async fn restart(&self) -> Tried<()> {
        let old = self.engine.lock().unwrap().take().unwrap();
        old.shutdown().await;
        // The directory belongs to one engine at a time.
        let gone = Arc::downgrade(&old);
        drop(old);
        bed::until("the old engine is gone", || gone.strong_count() == 0).await;
        let made = ProcessEngine::start(self.config.clone(), self.store.clone(), None).await;
        *self.engine.lock().unwrap() = Some(made.unwrap());
        Ok(())
    }

    fn cannot(&self, case: &str) -> Option<String> {
        let why = "the system is this machine, which cannot be away";
        (case == "outage").then(|| why.to_owned())
    }

    fn limits(&self) -> Limits {
        Limits { broken: self.broken, ..Limits::default() }
    }
}

async fn conforms(language: &'static str, broken: &'static str) {
    let embedded = Embedded::new(language, broken).await;
    if !embedded.engine().capabilities().languages.iter().any(|known| known == language) {
        println!("could not run: no interpreter for {language} on this machine");
        return;
    }
    conformance::run(&embedded).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_python() {
    conforms("python3", "SyntaxError").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_node() {
    conforms("nodejs", "SyntaxError").await;
}

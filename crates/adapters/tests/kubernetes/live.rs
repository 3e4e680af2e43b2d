//! The suite against clusters that are there: `DISPATCH_TEST_KUBERNETES`, `DISPATCH_TEST_KNATIVE`
//! and `DISPATCH_TEST_RIFF` name a kubeconfig; the same with `_SETTINGS` has further settings of
//! the engine, `reach=proxy namespace=functions`; `DISPATCH_TEST_KUBERNETES_REGISTRY` is the
//! `HOST:PORT` of a registry without TLS that this machine and the cluster reach.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_driver::conformance::{self, Bed, Program, Tried};
use dispatch_driver::{Deployment, Engine};
use dispatch_systems::function_image::FunctionImages;

use crate::ground::make;

struct Live {
    kind: &'static str,
    settings: BTreeMap<String, String>,
    images: FunctionImages,
    engine: Mutex<Arc<dyn Engine>>,
}

#[async_trait]
impl Bed for Live {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine.lock().unwrap())
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let image = self.images.push(&program.source("python3").unwrap()).await;
        Ok(Deployment { function_image: Some(image), ..program.deployment("python3") })
    }

    async fn restart(&self) -> Tried<()> {
        let engine = make(self.kind, self.settings.clone(), BTreeMap::new()).await.unwrap();
        *self.engine.lock().unwrap() = engine;
        Ok(())
    }
}

async fn conforms(kind: &'static str) {
    let variable = format!("DISPATCH_TEST_{}", kind.to_uppercase());
    let registry = std::env::var("DISPATCH_TEST_KUBERNETES_REGISTRY");
    let (Ok(kubeconfig), Ok(registry)) = (std::env::var(&variable), registry) else {
        println!("could not run: {variable} and DISPATCH_TEST_KUBERNETES_REGISTRY are not set");
        return;
    };
    let more = std::env::var(format!("{variable}_SETTINGS")).unwrap_or_default();
    let pairs = more.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    let mut settings: BTreeMap<String, String> =
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    settings.insert("kubeconfigFile".to_owned(), kubeconfig);
    let images = FunctionImages::new(&registry).await;
    let engine = Mutex::new(make(kind, settings.clone(), BTreeMap::new()).await.unwrap());
    conformance::run(&Live { kind, settings, images, engine }).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_there_keeps_the_contract() {
    conforms("kubernetes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_knative_that_is_there_keeps_the_contract() {
    conforms("knative").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_riff_that_is_there_keeps_the_contract() {
    conforms("riff").await;
}

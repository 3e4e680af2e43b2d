//! An engine over a gateway, and a registry with the images of the suite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_adapters::engine::types;
use dispatch_driver::conformance::{Bed, Program, Tried};
use dispatch_driver::{
    Beside, Config, Deployment, Engine, EngineType, Languages, Result, SourceStore,
};
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::openfaas::{Flavour, OpenFaas, PASSWORD};
use dispatch_systems::programs::{free_address, has};
use dispatch_systems::registry::{self, Registry};

pub struct Gateway {
    pub openfaas: OpenFaas,
    images: FunctionImages,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    engine: Mutex<Option<Arc<dyn Engine>>>,
    _registry: Registry,
}

impl Gateway {
    /// None, plainly said, where it cannot run.
    pub async fn start(flavour: Flavour, more: &[(&str, &str)]) -> Option<Self> {
        if !has(registry::PROGRAMS) {
            return None;
        }
        let openfaas = OpenFaas::start(flavour).await?;
        let registry = Registry::start();
        let images = FunctionImages::new(&registry.address).await;
        let url = openfaas.url();
        let given = [("gateway", url.as_str())];
        let settings = given.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let settings: BTreeMap<_, _> = settings.collect();
        let secrets = BTreeMap::from([("password".to_owned(), PASSWORD.to_owned())]);
        let engine = make(&settings, &secrets).await.unwrap();
        let engine = Mutex::new(Some(engine));
        Some(Self { openfaas, images, settings, secrets, engine, _registry: registry })
    }

    pub async fn image(&self, program: Program) -> String {
        self.images.push(&program.source("python3").unwrap()).await
    }

    /// Another engine over the same gateway.
    pub async fn other(
        &self,
        settings: &[(&str, &str)],
        secrets: &[(&str, &str)],
    ) -> Result<Arc<dyn Engine>> {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let mut settings: BTreeMap<_, _> = pairs(settings);
        settings.insert("gateway".to_owned(), self.openfaas.url());
        make(&settings, &pairs(secrets)).await
    }
}

/// Settings for calls through the queue, at a free address.
pub fn queued() -> Vec<(&'static str, String)> {
    let address = free_address().to_string();
    let url = format!("http://{address}");
    vec![("async", "true".to_owned()), ("callbackListen", address), ("callbackUrl", url)]
}

pub fn openfaas() -> Box<dyn EngineType> {
    types().into_iter().find(|found| found.name() == "openfaas").unwrap()
}

pub async fn make(
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, String>,
) -> Result<Arc<dyn Engine>> {
    let openfaas = openfaas();
    let checked = Config::check("faas", openfaas.known(), settings.clone(), secrets.clone());
    let (sources, languages) = (Arc::new(NoSources), Languages::builtin());
    let beside = Beside { sources, images: None, languages };
    openfaas.make(checked.unwrap(), &beside).await
}

/// OpenFaaS is given images only.
struct NoSources;

#[async_trait]
impl SourceStore for NoSources {
    async fn read(&self, digest: &str) -> Result<Bytes> {
        panic!("nobody needs the source {digest}")
    }
}

#[async_trait]
impl Bed for Gateway {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone().unwrap()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let function_image = Some(self.image(program).await);
        Ok(Deployment { function_image, ..program.deployment("python3") })
    }

    async fn restart(&self) -> Tried<()> {
        // Before the new one, so that it may listen where the old one did.
        drop(self.engine.lock().unwrap().take());
        let made = make(&self.settings, &self.secrets).await.unwrap();
        *self.engine.lock().unwrap() = Some(made);
        Ok(())
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        match gone {
            true => self.openfaas.go().await,
            false => self.openfaas.come_back().await,
        }
        Ok(())
    }
}

/// A gateway that is there, and a registry it pulls from.
pub struct Live {
    images: FunctionImages,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    engine: Mutex<Arc<dyn Engine>>,
}

impl Live {
    /// None, plainly said, where none is named.
    pub async fn start() -> Option<Self> {
        let variable = |name: &str| {
            let value = std::env::var(name);
            if value.is_err() {
                println!("could not run: {name} is not set, so there is no live OpenFaaS");
            }
            value.ok()
        };
        let gateway = variable("DISPATCH_TEST_OPENFAAS")?;
        let password = variable("DISPATCH_TEST_OPENFAAS_PASSWORD")?;
        let registry = variable("DISPATCH_TEST_OPENFAAS_REGISTRY")?;
        let settings = BTreeMap::from([("gateway".to_owned(), gateway)]);
        let secrets = BTreeMap::from([("password".to_owned(), password)]);
        let engine = Mutex::new(make(&settings, &secrets).await.unwrap());
        let images = FunctionImages::new(&registry).await;
        Some(Self { images, settings, secrets, engine })
    }
}

#[async_trait]
impl Bed for Live {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let image = self.images.push(&program.source("python3").unwrap()).await;
        Ok(Deployment { function_image: Some(image), ..program.deployment("python3") })
    }

    async fn restart(&self) -> Tried<()> {
        let made = make(&self.settings, &self.secrets).await.unwrap();
        *self.engine.lock().unwrap() = made;
        Ok(())
    }
}

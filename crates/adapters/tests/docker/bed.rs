//! A Docker engine with images of functions, and drivers over it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dispatch_adapters::engine::docker::DockerType;
use dispatch_driver::conformance::Program;
use dispatch_driver::language::Languages;
use dispatch_driver::{Beside, Call, Config, Deployment, Engine, EngineType, Outcome};
use dispatch_systems::docker::{self, Docker};
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::programs::{has, has_root_and};
use dispatch_systems::registry::{self, Registry};
use serde_json::{Value, json};
use uuid::Uuid;

/// Longest time until something comes true.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bed {
    /// `None`: one that is not ours.
    pub docker: Option<Arc<Mutex<Docker>>>,
    pub images: FunctionImages,
    pub registry: Registry,
    host: String,
}

impl Bed {
    /// `None`, plainly said, where it cannot be.
    pub async fn start() -> Option<Self> {
        Self::on(docker::PROGRAMS, |_| Docker::start()).await
    }

    /// The same, which also listens on loopback with TLS.
    pub async fn with_tls() -> Option<Self> {
        Self::on(docker::PROGRAMS, |_| Docker::with_tls()).await
    }

    /// The same with Podman.
    pub async fn podman() -> Option<Self> {
        Self::on(docker::PODMAN, Docker::podman).await
    }

    /// A live one, which pulls from a registry on this machine's loopback.
    pub async fn live(host: String) -> Option<Self> {
        if !has(registry::PROGRAMS) {
            return None;
        }
        let registry = Registry::start();
        let images = FunctionImages::new(&registry.address).await;
        Some(Self { docker: None, images, registry, host })
    }

    async fn on(programs: &[&str], start: fn(&str) -> Docker) -> Option<Self> {
        if !has_root_and(programs) || !has(registry::PROGRAMS) {
            return None;
        }
        let registry = Registry::start();
        let address = registry.address.clone();
        let docker = tokio::task::spawn_blocking(move || start(&address)).await.unwrap();
        let images = FunctionImages::new(&registry.address).await;
        let host = docker.host();
        let docker = Some(Arc::new(Mutex::new(docker)));
        Some(Self { docker, images, registry, host })
    }

    /// A new driver. Docker has no network here but the machine's own.
    pub async fn engine(&self, settings: &[(&str, &str)]) -> Arc<dyn Engine> {
        made(self.settings(settings), BTreeMap::new()).await.unwrap()
    }

    pub fn settings(&self, settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([("host".to_owned(), self.host.clone())]);
        let given = [("network", "host"), ("lease", "2s")];
        let given = given.iter().chain(settings);
        all.extend(given.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        all
    }

    pub async fn deployment(&self, source: &str) -> Deployment {
        let image = self.images.push(source).await;
        Deployment { function_image: Some(image), ..Program::Conformance.deployment("python3") }
    }

    /// A built function of the suite.
    pub async fn built(
        &self,
        engine: &dyn Engine,
        change: impl FnOnce(&mut Deployment),
    ) -> Deployment {
        let mut deployment =
            self.deployment(&Program::Conformance.source("python3").unwrap()).await;
        change(&mut deployment);
        engine.build(&deployment).await.unwrap();
        deployment
    }

    pub async fn docker(&self, arguments: &[&str]) -> String {
        let docker = self.docker.clone().expect("it is ours");
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let run = move || {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            docker.lock().unwrap().run(&words)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// Ids of all containers, ended ones too.
    pub async fn containers(&self) -> Vec<String> {
        let listed = self.docker(&["ps", "--all", "--quiet", "--no-trunc"]).await;
        listed.lines().map(str::to_owned).collect()
    }
}

/// What becomes of settings.
pub async fn made(
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
) -> dispatch_driver::Result<Arc<dyn Engine>> {
    let config = Config::check("tested", DockerType.known(), settings, secrets);
    let config = config.unwrap_or_else(|violation| panic!("{violation:?}"));
    let languages = Languages::builtin();
    let beside = Beside { sources: Arc::new(NoSources), images: None, languages };
    DockerType.make(config, &beside).await
}

/// Docker is given images.
struct NoSources;

#[async_trait::async_trait]
impl dispatch_driver::SourceStore for NoSources {
    async fn read(&self, digest: &str) -> dispatch_driver::Result<bytes::Bytes> {
        panic!("the source {digest} was asked for")
    }
}

pub fn call(payload: &Value, limit: Duration) -> Call {
    let context = json!({"timeout": u64::try_from(limit.as_millis()).unwrap()});
    Call {
        run_id: Uuid::now_v7(),
        context: context.to_string().into(),
        payload: payload.to_string().into(),
        deadline: Instant::now() + limit,
    }
}

pub async fn outcome(engine: &dyn Engine, deployment: &Deployment, payload: Value) -> Outcome {
    engine.invoke(deployment.id, call(&payload, PATIENCE)).await.unwrap()
}

/// The result of a call that has to go well.
pub async fn result(engine: &dyn Engine, deployment: &Deployment, payload: Value) -> Value {
    let outcome = outcome(engine, deployment, payload).await;
    let result = outcome.result.unwrap_or_else(|error| panic!("{error:?}"));
    serde_json::from_str(result.get()).unwrap()
}

/// Looks until it is true.
pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let ends = Instant::now() + PATIENCE;
    while !is().await {
        assert!(Instant::now() < ends, "it did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

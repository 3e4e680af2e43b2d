//! A cluster, a registry and a Docker engine for all tests here; and the bed of the suite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_adapters::engine;
use dispatch_driver::conformance::{self, Bed, Limits, Program, Tried};
use dispatch_driver::{Beside, Call, Config, Deployment, Engine, Error, Languages, SourceStore};
use dispatch_systems::docker::{self, Docker};
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::kubernetes::Kubernetes;
use dispatch_systems::kubernetes::controller::Controller;
use dispatch_systems::programs;
use dispatch_systems::registry::{self, Registry};
use serde_json::{Value, json};

/// What tests stand on; it goes with the last of them.
pub struct Ground {
    pub controller: Controller,
    pub kubernetes: Kubernetes,
    pub images: FunctionImages,
    _registry: Registry,
    /// Tests take the cluster away from each other: one at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A test's turn.
pub struct Turn {
    pub ground: Arc<Ground>,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

static GROUND: tokio::sync::Mutex<Weak<Ground>> = tokio::sync::Mutex::const_new(Weak::new());

/// None, plainly said, where this machine cannot have it.
pub async fn turn() -> Option<Turn> {
    let ground = {
        let mut known = GROUND.lock().await;
        match known.upgrade() {
            Some(ground) => ground,
            None => {
                let ground = Arc::new(start().await?);
                *known = Arc::downgrade(&ground);
                ground
            }
        }
    };
    let turn = Arc::clone(&ground.turn).lock_owned().await;
    Some(Turn { ground, _turn: turn })
}

async fn start() -> Option<Ground> {
    let programs = [docker::PROGRAMS, registry::PROGRAMS].concat();
    if !programs::has_root_and(&programs) {
        return None;
    }
    let kubernetes = tokio::task::spawn_blocking(Kubernetes::start).await.unwrap()?;
    let docker = Arc::new(tokio::task::spawn_blocking(Docker::start).await.unwrap());
    let registry = Registry::start();
    let images = FunctionImages::new(&registry.address).await;
    let controller = Controller::start(&kubernetes, docker)?;
    Some(Ground { controller, kubernetes, images, _registry: registry, turn: Arc::default() })
}

/// A suite that was run to its end.
pub async fn conforms(
    kind: &'static str,
    settings: impl Fn(&Ground) -> Vec<(&'static str, String)>,
) {
    let Some(turn) = turn().await else { return };
    let settings = settings(&turn.ground);
    conformance::run(&Cluster::new(&turn, kind, settings).await).await.assert();
}

/// Waits until it is so.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A call that returns what it is given.
pub fn echo(value: &Value) -> Call {
    Call {
        run_id: uuid::Uuid::now_v7(),
        context: Bytes::from_static(b"{}"),
        payload: json!({"echo": value}).to_string().into(),
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

/// What it returned.
pub async fn echoed(engine: &Arc<dyn Engine>, id: uuid::Uuid, value: Value) -> Value {
    let outcome = engine.invoke(id, echo(&value)).await.unwrap();
    serde_json::from_str(outcome.result.unwrap().get()).unwrap()
}

impl Ground {
    /// Where an engine's `ingress` is.
    pub fn ingress(&self) -> (&'static str, String) {
        ("ingress", format!("http://{}", self.controller.ingress))
    }

    /// An engine of a type over this cluster.
    pub async fn engine(&self, kind: &str, more: &[(&str, String)]) -> Arc<dyn Engine> {
        let file = self.kubernetes.kubeconfig().display().to_string();
        let mut settings = BTreeMap::from([("kubeconfigFile".to_owned(), file)]);
        for (key, value) in more {
            settings.insert((*key).to_owned(), value.clone());
        }
        make(kind, settings, BTreeMap::new()).await.unwrap()
    }

    /// A deployment whose image is in the registry.
    pub async fn deployment(&self, program: Program) -> Deployment {
        let image = self.images.push(&program.source("python3").unwrap()).await;
        Deployment { function_image: Some(image), ..program.deployment("python3") }
    }
}

/// An engine as the server makes one.
pub async fn make(
    kind: &str,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
) -> Result<Arc<dyn Engine>, Error> {
    let types = engine::types();
    let found = types.iter().find(|known| known.name() == kind).unwrap();
    let config = Config::check("test", found.known(), settings, secrets).unwrap();
    let languages = Languages::builtin();
    let beside = Beside { sources: Arc::new(NoSources), images: None, languages };
    found.make(config, &beside).await
}

struct NoSources;

#[async_trait]
impl SourceStore for NoSources {
    async fn read(&self, _digest: &str) -> Result<Bytes, Error> {
        Err(Error::ours("ENGINE002", "these engines are given images"))
    }
}

/// The bed of one type of engines.
pub struct Cluster {
    ground: Arc<Ground>,
    kind: &'static str,
    settings: Vec<(&'static str, String)>,
    engine: Mutex<Arc<dyn Engine>>,
}

impl Cluster {
    pub async fn new(
        turn: &Turn,
        kind: &'static str,
        settings: Vec<(&'static str, String)>,
    ) -> Self {
        let ground = Arc::clone(&turn.ground);
        let engine = Mutex::new(ground.engine(kind, &settings).await);
        Self { ground, kind, settings, engine }
    }
}

#[async_trait]
impl Bed for Cluster {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine.lock().unwrap())
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        Ok(self.ground.deployment(program).await)
    }

    async fn restart(&self) -> Tried<()> {
        let engine = self.ground.engine(self.kind, &self.settings).await;
        *self.engine.lock().unwrap() = engine;
        Ok(())
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        let ground = Arc::clone(&self.ground);
        let change = move || {
            ground.controller.open_ingress(!gone);
            match gone {
                true => ground.kubernetes.stop(),
                false => ground.kubernetes.go_on(),
            }
        };
        tokio::task::spawn_blocking(change).await.unwrap();
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }
}

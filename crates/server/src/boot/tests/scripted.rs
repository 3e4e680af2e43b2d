//! A type of engines in memory, which answer calls with what they were made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use dispatch_driver::{
    Beside, Call, Capabilities, Config, Deployment, Engine, EngineType, Health, Observed, Outcome,
    Result, Setting, Value,
};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::invoke::testing::{TestEngine, ok};

/// What is said of all engines of the type, and what became of them.
pub struct World {
    pub ill: AtomicBool,
    /// Whether builds wait for a permit.
    pub slow: AtomicBool,
    pub made: AtomicUsize,
    pub stopped: AtomicUsize,
    /// How many have waited for a permit: calls whose payload is "hold", and slow builds.
    pub held: AtomicUsize,
    pub release: Semaphore,
}

impl World {
    /// Waits for a permit.
    async fn hold(&self) {
        self.held.fetch_add(1, Ordering::SeqCst);
        self.release.acquire().await.expect("it is never closed").forget();
    }
}

pub struct Scripted(Arc<World>);

/// The type, and the world its engines live in.
pub fn scripted() -> (Vec<Box<dyn EngineType>>, Arc<World>) {
    let release = Semaphore::new(0);
    let (ill, slow, made, stopped, held) = Default::default();
    let world = Arc::new(World { ill, slow, made, stopped, held, release });
    (vec![Box::new(Scripted(world.clone()))], world)
}

const SETTINGS: &[Setting] = &[
    Setting::new("gateway", Value::Url, "Where it is.").required(),
    Setting::new("greeting", Value::Text, "What it answers with.").default("hello"),
    Setting::new("token", Value::Text, "Who it takes us for.").secret(),
];

#[async_trait]
impl EngineType for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn about(&self) -> &'static str {
        "engines of a test"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    async fn make(&self, config: Config, _: &Beside) -> Result<Arc<dyn Engine>> {
        if config.text("greeting") == Some("refused") {
            return Err(dispatch_driver::engine_type::refused("greeting and gateway do not fit"));
        }
        self.0.made.fetch_add(1, Ordering::SeqCst);
        let token = config.text("token").unwrap_or_default().len();
        let answer = json!({"greeting": config.text("greeting"), "token": token}).to_string();
        let world = self.0.clone();
        let inner = TestEngine::new(move |_, call| {
            let (answer, world) = (answer.clone(), world.clone());
            async move {
                if &*call.payload == br#""hold""# {
                    world.hold().await;
                }
                ok(answer)
            }
        });
        let (name, world) = (config.name, self.0.clone());
        Ok(Arc::new(Foreign { name, inner, world }))
    }
}

struct Foreign {
    name: String,
    inner: Arc<TestEngine>,
    world: Arc<World>,
}

#[async_trait]
impl Engine for Foreign {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { languages: vec!["foreign".to_owned()], ..Capabilities::default() }
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        if self.world.slow.load(Ordering::SeqCst) {
            self.world.hold().await;
        }
        self.inner.build(deployment).await
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        self.inner.ensure(deployment).await
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        self.inner.observe(id).await
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.inner.remove(id).await
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        self.inner.invoke(id, call).await
    }

    async fn health(&self) -> Health {
        match self.world.ill.load(Ordering::SeqCst) {
            true => Health { ok: false, message: "the gateway is away".to_owned() },
            false => Health { ok: true, message: "the gateway answers".to_owned() },
        }
    }

    fn workers(&self) -> (u64, u64) {
        self.inner.workers()
    }

    async fn shutdown(&self) {
        self.world.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

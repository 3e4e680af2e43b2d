//! What stands between the suite and Lambda: ministack, or the account that
//! `DISPATCH_TEST_AWS_LAMBDA` names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use dispatch_driver::conformance::{Bed, Limits, Program, Stop, Tried};
use dispatch_driver::{Beside, Config, Deployment, Engine, Error, Languages, SourceStore};
use dispatch_systems::aws::{AccessKey, IMAGES_VARIABLE, LambdaImages, Ministack, REGION, ROLE};
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::programs::has;
use dispatch_systems::registry::Registry;
use serde_json::{Value, json};
use uuid::Uuid;

/// Sources by their digest.
#[derive(Default)]
pub struct Sources(DashMap<String, Bytes>);

impl Sources {
    pub fn put(&self, source: impl Into<Bytes>) -> String {
        let digest = format!("sha256:{}", Uuid::new_v4().simple());
        self.0.insert(digest.clone(), source.into());
        digest
    }
}

#[async_trait]
impl SourceStore for Sources {
    async fn read(&self, digest: &str) -> dispatch_driver::Result<Bytes> {
        let found = self.0.get(digest).map(|bytes| bytes.clone());
        found.ok_or_else(|| Error::ours("ENGINE006", format!("no source {digest}")))
    }
}

pub fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// An engine of the type, as an operator's settings make it.
pub async fn make(
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    sources: Arc<Sources>,
) -> dispatch_driver::Result<Arc<dyn Engine>> {
    let types = dispatch_adapters::engine::types();
    let lambda = types.iter().find(|t| t.name() == "aws-lambda").unwrap();
    let config = Config::check("cloud", lambda.known(), settings, secrets).unwrap();
    let beside = Beside { sources, images: None, languages: Languages::builtin() };
    lambda.make(config, &beside).await
}

/// Ministack with an engine over it, whose user may do what the documentation says it needs.
pub struct Local {
    pub ministack: Arc<Mutex<Ministack>>,
    pub sources: Arc<Sources>,
    pub language: &'static str,
    pub settings: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
    engine: Mutex<Arc<dyn Engine>>,
}

/// The policy in the documentation, for this account.
pub fn policy() -> Value {
    let page = include_str!("../../../../docs/reference/engines/aws-lambda.md");
    let text = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let text = text.replace("123456789012", "000000000000").replace("eu-central-1", REGION);
    assert!(text.contains(ROLE), "{text}");
    let mut policy: Value = serde_json::from_str(&text).unwrap();
    // AWS goes by the name the function will have; ministack does not know it yet.
    let create = json!({"Effect": "Allow", "Action": "lambda:CreateFunction", "Resource": "*"});
    policy["Statement"].as_array_mut().unwrap().push(create);
    policy
}

impl Local {
    /// None, plainly said, where ministack is not installed.
    pub async fn new(language: &'static str, more: &[(&str, &str)]) -> Option<Self> {
        Self::with(language, more, &[]).await
    }

    /// The same, with settings of ministack's own.
    pub async fn with(
        language: &'static str,
        more: &[(&str, &str)],
        variables: &'static [(&'static str, &'static str)],
    ) -> Option<Self> {
        let started = tokio::task::spawn_blocking(move || {
            let ministack = Ministack::start_with(variables)?;
            let key = ministack.user("dispatch", &policy());
            Some((ministack, key))
        });
        let (ministack, AccessKey { id, secret }) = started.await.unwrap()?;
        let mut settings =
            pairs(&[("region", REGION), ("role", ROLE), ("endpoint", ministack.url.as_str())]);
        settings.extend(pairs(more));
        let secrets = pairs(&[("accessKeyId", id.as_str()), ("secretAccessKey", &secret)]);
        let sources = Arc::new(Sources::default());
        let engine = make(settings.clone(), secrets.clone(), sources.clone()).await.unwrap();
        let (ministack, engine) = (Arc::new(Mutex::new(ministack)), Mutex::new(engine));
        Some(Self { ministack, sources, language, settings, secrets, engine })
    }

    /// What boto3 is told, as the account's owner.
    pub async fn boto3(&self, method: &'static str, arguments: Value) -> Value {
        let ministack = self.ministack.clone();
        let told = move || ministack.lock().unwrap().boto3(method, &arguments);
        tokio::task::spawn_blocking(told).await.unwrap()
    }

    pub async fn built(&self) -> Deployment {
        let deployment = self.deployment(Program::Conformance).await.unwrap();
        self.engine().build(&deployment).await.unwrap();
        deployment
    }

    pub async fn another(&self) -> Arc<dyn Engine> {
        make(self.settings.clone(), self.secrets.clone(), self.sources.clone()).await.unwrap()
    }
}

#[async_trait]
impl Bed for Local {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let source_digest = self.sources.put(program.source(self.language).unwrap());
        Ok(Deployment { source_digest, ..program.deployment(self.language) })
    }

    async fn restart(&self) -> Tried<()> {
        let another = self.another().await;
        *self.engine.lock().unwrap() = another;
        Ok(())
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        let ministack = self.ministack.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut ministack = ministack.lock().unwrap();
            if gone { ministack.stop() } else { ministack.resume() }
        });
        done.await.map_err(|error| Stop::failed(error.to_string()))
    }

    fn limits(&self) -> Limits {
        Limits {
            // Of the 6 MiB Lambda takes, the rest is for context and logs.
            payload_bytes: (6 << 20) - (256 << 10),
            calls: 8,
            patience: Duration::from_secs(60),
            broken: "SyntaxError",
            ..Limits::default()
        }
    }
}

/// Functions that are images: ministack keeps them, and they run in containers.
pub struct Images {
    local: Local,
    images: FunctionImages,
    lambda: LambdaImages,
    // The last field: images are pulled from it.
    _registry: Registry,
}

impl Images {
    /// None, plainly said, where they cannot run.
    pub async fn new() -> Option<Self> {
        if !has(dispatch_systems::registry::PROGRAMS) {
            return None;
        }
        let local = Local::new("python3", &[("package", "image")]).await?;
        let ministack = local.ministack.clone();
        let started = move || LambdaImages::start(&ministack.lock().unwrap());
        let lambda = tokio::task::spawn_blocking(started).await.unwrap()?;
        let registry = tokio::task::spawn_blocking(Registry::start).await.unwrap();
        let images = FunctionImages::new(&registry.address).await;
        Some(Self { local, images, lambda, _registry: registry })
    }
}

#[async_trait]
impl Bed for Images {
    fn engine(&self) -> Arc<dyn Engine> {
        self.local.engine()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let mut deployment = program.deployment("python3");
        let image = self.images.push(&program.source("python3").unwrap()).await;
        deployment.function_image = Some(image);
        deployment.environment.insert(IMAGES_VARIABLE.to_owned(), self.lambda.url.clone());
        Ok(deployment)
    }

    async fn restart(&self) -> Tried<()> {
        self.local.restart().await
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        self.local.outage(gone).await
    }

    fn limits(&self) -> Limits {
        // Each container's start counts, on machines that are busy.
        Limits { timeout: Duration::from_secs(10), ..self.local.limits() }
    }
}

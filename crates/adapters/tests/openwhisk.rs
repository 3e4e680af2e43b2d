//! The `openwhisk` engine, on a stand-in that speaks OpenWhisk's API and runs functions' images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dispatch_adapters::engine::openwhisk::OpenWhiskType;
use dispatch_driver::conformance::{self, Bed, Limits, Program, Tried};
use dispatch_driver::language::Languages;
use dispatch_driver::{
    Beside, Call, Config, Deployment, Engine, EngineType, Error, Fault, Observed, Reached, Result,
    Retry, SourceStore,
};
use dispatch_model::InvocationErrorType;
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::openwhisk::{KEY, MAX_BYTES, OpenWhisk};
use dispatch_systems::programs::{has, run};
use dispatch_systems::registry::{self, Registry};
use serde_json::{Value, json};
use uuid::Uuid;

/// How long the stand-in waits for a call: shorter than some calls of the suite.
const WAIT: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(60);

/// A live OpenWhisk for the suite, with a registry that it pulls from without a password.
const LIVE: [&str; 3] =
    ["DISPATCH_TEST_OPENWHISK", "DISPATCH_TEST_OPENWHISK_KEY", "DISPATCH_TEST_OPENWHISK_REGISTRY"];

struct Tested {
    /// `None`: one that is not ours.
    openwhisk: Option<tokio::sync::Mutex<OpenWhisk>>,
    url: String,
    key: String,
    _registry: Option<Registry>,
    images: FunctionImages,
    engine: Mutex<Arc<dyn Engine>>,
}

impl Tested {
    async fn start() -> Option<Self> {
        if !has(registry::PROGRAMS) {
            return None;
        }
        let openwhisk = OpenWhisk::start(WAIT).await?;
        let registry = Registry::start();
        let images = FunctionImages::new(&registry.address).await;
        let url = format!("http://{}", openwhisk.address);
        let engine = Mutex::new(made(&url, KEY).await.unwrap());
        let openwhisk = Some(tokio::sync::Mutex::new(openwhisk));
        let key = KEY.to_owned();
        Some(Self { openwhisk, url, key, images, engine, _registry: Some(registry) })
    }

    /// The live one that the environment names, or the stand-in.
    async fn start_or_live() -> Option<Self> {
        let [url, key, registry] = LIVE.map(std::env::var);
        let Ok(url) = url else { return Self::start().await };
        let (key, registry) = (key.expect(LIVE[1]), registry.expect(LIVE[2]));
        let engine = Mutex::new(made(&url, &key).await.unwrap());
        let images = FunctionImages::new(&registry).await;
        Some(Self { openwhisk: None, url, key, images, engine, _registry: None })
    }

    async fn openwhisk(&self) -> tokio::sync::MutexGuard<'_, OpenWhisk> {
        self.openwhisk.as_ref().expect("it is ours").lock().await
    }

    /// An image with the tag that the server gives it.
    async fn image(&self, source: &str) -> String {
        let image = self.images.push(source).await;
        let (repository, hex) = image.split_once("@sha256:").unwrap();
        let tagged = format!("docker://{repository}:{}", &hex[..12]);
        let from = format!("docker://{image}");
        let plain = ["--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"];
        run("skopeo", &[&["copy"][..], &plain, &[from.as_str(), tagged.as_str()]].concat());
        image
    }

    async fn written(&self, source: &str) -> Deployment {
        let function_image = Some(self.image(source).await);
        Deployment { function_image, ..Program::Conformance.deployment("python3") }
    }
}

async fn made(url: &str, key: &str) -> Result<Arc<dyn Engine>> {
    let settings = BTreeMap::from([("url".to_owned(), url.to_owned())]);
    let secrets = BTreeMap::from([("apiKey".to_owned(), key.to_owned())]);
    let config = Config::check("tested", OpenWhiskType.known(), settings, secrets).unwrap();
    let languages = Languages::builtin();
    let beside = Beside { sources: Arc::new(NoSources), images: None, languages };
    OpenWhiskType.make(config, &beside).await
}

/// OpenWhisk is given images.
struct NoSources;

#[async_trait]
impl SourceStore for NoSources {
    async fn read(&self, digest: &str) -> Result<bytes::Bytes> {
        panic!("the source {digest} was asked for")
    }
}

#[async_trait]
impl Bed for Tested {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let image = self.image(&program.source("python3").unwrap()).await;
        Ok(Deployment { function_image: Some(image), ..program.deployment("python3") })
    }

    async fn restart(&self) -> Tried<()> {
        let engine = made(&self.url, &self.key).await.unwrap();
        *self.engine.lock().unwrap() = engine;
        Ok(())
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        let mut openwhisk = self.openwhisk().await;
        match gone {
            true => openwhisk.halt(),
            false => openwhisk.resume().await,
        }
        Ok(())
    }

    fn cannot(&self, case: &str) -> Option<String> {
        let why = match case {
            "environment" => "Docker actions get none; the server builds it into functions' images",
            "outage" if self.openwhisk.is_none() => "the system is not the test's to take away",
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn limits(&self) -> Limits {
        // What is around it counts, too.
        Limits { payload_bytes: MAX_BYTES - 1_000, ..Limits::default() }
    }
}

fn call(payload: &Value, limit: Duration) -> Call {
    Call {
        run_id: Uuid::now_v7(),
        context: r#"{"secrets": {}}"#.into(),
        payload: payload.to_string().into(),
        deadline: Instant::now() + limit,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract() {
    let Some(tested) = Tested::start_or_live().await else { return };
    conformance::run(&tested).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_openwhisk_does_not_do_is_told_as_it_is() {
    let Some(tested) = Tested::start().await else { return };
    let engine = tested.engine();
    let deployment = tested.written(include_str!("openwhisk/ending.py")).await;
    let id = deployment.id;
    engine.build(&deployment).await.unwrap();
    let name = format!("dispatch-{}", id.simple());
    assert_eq!(tested.openwhisk().await.actions(), [name]);

    tested.openwhisk().await.throttle(1);
    let error = engine.invoke(id, call(&json!(1), PATIENCE)).await.unwrap_err();
    assert_eq!((error.code, error.reached), ("ENGINE005", Reached::No), "{error}");
    assert!(matches!(error.retry, Retry::After(_)) && error.message.contains("429"), "{error}");

    let large = json!("x".repeat(MAX_BYTES));
    let outcome = engine.invoke(id, call(&large, PATIENCE)).await.unwrap();
    let error = outcome.result.unwrap_err();
    assert_eq!(error.kind, InvocationErrorType::InputError, "{error:?}");

    // The container itself ends: OpenWhisk has the words.
    let ended = engine.invoke(id, call(&json!("wait"), PATIENCE));
    let kill = async {
        let ends = Instant::now() + PATIENCE;
        while tested.openwhisk().await.kill_busy().await == 0 {
            assert!(Instant::now() < ends, "the call did not begin");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (outcome, ()) = tokio::join!(ended, kill);
    let error = outcome.unwrap().result.unwrap_err();
    assert_eq!(error.kind, InvocationErrorType::FunctionError);
    assert!(error.message.contains("exited unexpectedly"), "{error:?}");
    let outcome = engine.invoke(id, call(&json!("again"), PATIENCE)).await.unwrap();
    assert_eq!(outcome.result.unwrap().get(), r#""again""#);

    // A result that OpenWhisk does not take.
    let outcome = engine.invoke(id, call(&json!("large"), PATIENCE)).await.unwrap();
    let error = outcome.result.unwrap_err();
    assert!(error.message.contains("exceeded the allowed length"), "{error:?}");

    engine.remove(id).await.unwrap();
    assert_eq!(engine.observe(id).await.unwrap(), Observed::Absent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_keys_that_openwhisk_refuses_are_told() {
    let Some(tested) = Tested::start().await else { return };
    let engine = tested.engine();
    let mut deployment = tested.deployment(Program::Conformance).await.unwrap();
    deployment.memory_mib = 4_096;
    let error = engine.build(&deployment).await.unwrap_err();
    assert_eq!((error.code, error.fault), ("ENGINE003", Fault::Caller));
    assert!(error.message.contains("memory 4096"), "{error}");
    deployment.memory_mib = 64;
    engine.build(&deployment).await.unwrap();

    let perl = Deployment { language: "perl".to_owned(), ..deployment.clone() };
    let error = engine.build(&perl).await.unwrap_err();
    assert!(error.message.contains("not in perl"), "{error}");
    let none = Deployment { function_image: None, ..deployment.clone() };
    let error = engine.build(&none).await.unwrap_err();
    assert!(error.message.contains("images.registry"), "{error}");

    let stranger = made(&tested.url, "a:b").await.unwrap();
    assert!(stranger.health().await.message.contains("refuses the key"));
    let Error { code, fault, message, .. } = stranger.build(&deployment).await.unwrap_err();
    assert_eq!((code, fault), ("ENGINE006", Fault::Backend), "{message}");
    let error = made(&tested.url, "no colon").await.err().expect("it is refused");
    assert_eq!((error.code, error.fault), ("ENGINE008", Fault::Caller));
}

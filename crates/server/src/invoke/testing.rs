//! For the tests of this room: an engine in memory whose handler is a closure, and an invoker
//! over it and over a store on disk.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Error, Health, Observed, Outcome, Phases, Result, Retry,
};
use dispatch_model::engine::EngineSpec;
use dispatch_model::function::{Deployed, Function, FunctionSpec, Serving};
use dispatch_model::function_version::{FunctionVersion, FunctionVersionSpec, version_name};
use dispatch_model::secret::{Content, Sealed, Secret, SecretSpec};
use dispatch_model::{
    InvocationError, Logs, Name, OrgName, RawJson, Resource, Run, State, Tags, code,
};
use dispatch_store::{Options, Store};
use futures::future::BoxFuture;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use super::callable::function_error;
use super::metrics::RunMetrics;
use super::secrets::{OpenSealed, Values};
use super::{Engines, Invoker, Member, RunRequest, Settings, json};
use crate::secrets::Secrets;

type Answer = Box<dyn Fn(usize, Call) -> BoxFuture<'static, Result<Outcome>> + Send + Sync>;

/// Answers calls by a closure that gets the number of the call (from 1) and the call.
pub struct TestEngine {
    answer: Answer,
    pub ensured: Mutex<HashSet<Uuid>>,
    pub calls: AtomicUsize,
    /// In how many steps of its contract it fails, once; 0 for never.
    pub fails_in: AtomicUsize,
    /// Whether it takes for ever to be told of a deployment.
    pub hangs: AtomicBool,
}

impl TestEngine {
    pub fn new<F, A>(answer: F) -> Arc<Self>
    where
        F: Fn(usize, Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let answer: Answer = Box::new(move |n, call| Box::pin(answer(n, call)));
        let (ensured, calls, fails_in, hangs) = Default::default();
        Arc::new(Self { answer, ensured, calls, fails_in, hangs })
    }

    /// Answers with the payload.
    pub fn echo() -> Arc<Self> {
        Self::new(|_, call| async move { ok(call.payload) })
    }

    /// One step of its contract.
    fn step(&self) -> Result<()> {
        let count_down = |left: usize| left.checked_sub(1);
        match self.fails_in.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down) {
            Ok(1) => Err(Error::backend(code::ENGINE006, Retry::Now, "a fault that a test wants")),
            _ => Ok(()),
        }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub fn ok(output: impl Into<Bytes>) -> Result<Outcome> {
    outcome(Ok(RawJson::parse(output.into()).expect("engines answer with JSON")))
}

pub fn outcome(result: std::result::Result<RawJson, InvocationError>) -> Result<Outcome> {
    let logs = Logs { stdout: vec!["a line".to_owned()], stderr: Vec::new() };
    Ok(Outcome { result, logs, phases: Phases::default() })
}

#[async_trait]
impl Engine for TestEngine {
    fn name(&self) -> &str {
        "test"
    }

    fn capabilities(&self) -> Capabilities {
        let languages = vec!["test".to_owned()];
        Capabilities { languages, ..Capabilities::default() }
    }

    fn needs(&self, language: &str) -> Option<String> {
        (language == "installable").then(|| "It needs a tool: install it".to_owned())
    }

    async fn build(&self, _: &Deployment) -> Result<()> {
        self.step()
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        self.step()?;
        while self.hangs.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.ensured.lock().unwrap().insert(deployment.id);
        Ok(())
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        Ok(match self.ensured.lock().unwrap().contains(&id) {
            true => Observed::Ready { workers: 0 },
            false => Observed::Absent,
        })
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.step()?;
        self.ensured.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        self.step()?;
        if !self.ensured.lock().unwrap().contains(&id) {
            return Err(Error::backend(code::ENGINE007, Retry::Now, "unknown deployment"));
        }
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        (self.answer)(n, call).await
    }

    async fn health(&self) -> Health {
        Health { ok: true, message: String::new() }
    }

    fn workers(&self) -> (u64, u64) {
        (0, 0)
    }

    async fn shutdown(&self) {}
}

/// Takes the ciphertext for the value of the key `value`: sealing itself is tested in its room.
pub struct Unsealed;

impl OpenSealed for Unsealed {
    fn open_sealed(&self, _: &OrgName, _: &Name, sealed: &Sealed) -> anyhow::Result<Values> {
        Ok(Values::from([("value".to_owned(), Zeroizing::new(sealed.ciphertext.clone()))]))
    }
}

pub fn org() -> OrgName {
    OrgName::trusted("dispatch")
}

pub fn name(text: &str) -> Name {
    Name::trusted(text)
}

/// Longest anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server's share of the world.
pub struct World {
    pub invoker: Arc<Invoker>,
    pub store: Store,
    pub engine: Arc<TestEngine>,
    pub settings: Settings,
    directory: TempDir,
}

pub fn settings() -> Settings {
    Settings { poll_ms: 50, shutdown_s: 5, ..Settings::default() }
}

impl World {
    pub async fn new(engine: Arc<TestEngine>) -> Self {
        Self::with(engine, settings()).await
    }

    pub async fn with(engine: Arc<TestEngine>, settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = Store::open(&url, Options::default()).await.unwrap();
        let invoker = invoker(&store, &engine, &settings);
        Self { invoker, store, engine, settings, directory }
    }

    /// The same as a server started anew on the same database finds it.
    pub async fn restarted(self) -> Self {
        let Self { invoker, store, engine, settings, directory } = self;
        // What it waits for ends without a word, and it claims nothing more, as if it had died.
        invoker.stop.cancel();
        let invoker = self::invoker(&store, &engine, &settings);
        Self { invoker, store, engine, settings, directory }
    }

    /// A function that is READY, with a first version.
    pub async fn function(&self, text: &str, spec: FunctionSpec) -> Resource<Function> {
        let spec = FunctionSpec { image: "image".to_owned(), backoff_ms: Some(1), ..spec };
        let mut function =
            Resource::<Function>::new(org(), name(text), Tags::new(), State::Ready, spec);
        self.store.insert(&function).await.unwrap();
        self.serve(&mut function).await;
        function
    }

    /// Makes what the function says now its next version, and has that take the calls.
    pub async fn serve(&self, function: &mut Resource<Function>) {
        serve(&self.store, "test", function).await;
    }

    /// One more engine, beside `test` and dearer.
    pub fn engine(&self, text: &str, engine: &Arc<TestEngine>) -> Arc<Member> {
        let spec = EngineSpec { cost: 10, ..EngineSpec::default() };
        let member = Member::new(text, engine.clone(), spec, text.to_owned());
        let engines = &self.invoker.loader.engines;
        engines.put(member).unwrap();
        engines.member(text).unwrap()
    }

    /// A function that its engines take calls of in this order.
    pub async fn function_on(&self, engines: &[&str], spec: FunctionSpec) -> Resource<Function> {
        let engines: Vec<String> = engines.iter().map(|name| (*name).to_owned()).collect();
        let mut placement = spec.placement.clone().unwrap_or_default();
        placement.engines.get_or_insert_with(|| engines.clone());
        let mut function =
            self.function("f", FunctionSpec { placement: Some(placement), ..spec }).await;
        function.status.deployments[0].engines = engines;
        self.store.update(&mut function).await.unwrap();
        function
    }

    pub async fn secret(&self, text: &str, value: &str) -> Resource<Secret> {
        let sealed = Sealed {
            root_key_id: String::new(),
            wrapped_key: String::new(),
            wrap_nonce: String::new(),
            nonce: String::new(),
            ciphertext: value.to_owned(),
        };
        let content = Content::Sealed(sealed);
        let spec = SecretSpec { version: 1, made_by: String::new(), made_ms: None, content };
        let secret = Resource::new(org(), name(text), Tags::new(), State::Ready, spec);
        self.store.insert(&secret).await.unwrap();
        secret
    }

    pub async fn stored(&self, id: Uuid) -> Option<Run> {
        self.store.flush().await.unwrap();
        self.store.run_get(&org(), id).await.unwrap()
    }

    /// Waits until the stored run has ended.
    pub async fn ended(&self, id: Uuid) -> Run {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stored = self.stored(id).await;
            match stored {
                Some(run) if run.finished_us.is_some() => return run,
                other => assert!(Instant::now() < deadline, "it has not ended: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn invoker(store: &Store, engine: &Arc<TestEngine>, settings: &Settings) -> Arc<Invoker> {
    let mut engines = Engines::default();
    engines.add(engine.clone());
    let metrics = Arc::new(RunMetrics::register(&mut Registry::default()));
    let secrets = Arc::new(Secrets::sealed(Arc::new(Unsealed)));
    Invoker::new(store.clone(), secrets, engines, metrics, settings.clone())
}

/// A run that ended well.
pub fn ended_run(begun_us: i64, ended_us: i64) -> Run {
    Run {
        id: Uuid::now_v7(),
        org: org(),
        function_name: name("f"),
        function_id: Uuid::nil(),
        faas_id: None,
        engine: None,
        qualifier: None,
        version: None,
        placement: None,
        blocking: true,
        state: State::Ready,
        reason: Vec::new(),
        input: None,
        output: None,
        error: None,
        logs: Logs::default(),
        secrets: Vec::new(),
        services: Vec::new(),
        event: None,
        http_context: None,
        tags: Tags::new(),
        attempts: 1,
        accepted_us: begun_us,
        executed_us: Some(begun_us),
        finished_us: Some(ended_us),
    }
}

pub fn request(function: &str, input: &str) -> RunRequest {
    let input = Some(json::raw(input.to_owned().into()).unwrap());
    RunRequest { input, ..RunRequest::new(org(), name(function), "request".into()) }
}

/// Asks again until there is an answer.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same with another engine.
pub async fn serve(store: &Store, engine: &str, function: &mut Resource<Function>) {
    let number = function.status.latest + 1;
    let version = FunctionVersionSpec {
        function: function.meta.name.to_string(),
        number,
        faas_id: Uuid::now_v7(),
        language: engine.to_owned(),
        spec: function.spec.clone(),
        ..FunctionVersionSpec::default()
    };
    let faas_id = version.faas_id;
    let stored = version_name(&function.meta.name, number);
    if let Some(left) = store.by_name::<FunctionVersion>(&org(), &stored).await.unwrap() {
        store.remove(&left).await.unwrap();
    }
    let stored =
        Resource::<FunctionVersion>::new(org(), stored, Tags::new(), State::Ready, version);
    store.insert(&stored).await.unwrap();
    let engines = vec![engine.to_owned()];
    function.status.deployments =
        vec![Deployed { version: number, faas_id, engines, making: Vec::new() }];
    function.status.latest = number;
    function.status.serving = Some(Serving { version: number, ..Serving::default() });
    function.status.faas_id = Some(faas_id);
    store.update(function).await.unwrap();
}

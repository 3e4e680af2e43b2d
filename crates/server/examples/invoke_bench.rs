//! What the invoker itself costs: calls of an engine that does nothing, over a real store.
//!
//! `cargo run --release -p dispatch-server --example invoke_bench [CALLS]` prints the time of a
//! call of the engine alone, of a blocking run, and of acknowledging non-blocking runs.

#[path = "support/serve.rs"]
mod serve;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Health, Observed, Outcome, Phases,
    Result as EngineResult,
};
use dispatch_model::function::{Function, FunctionSpec};
use dispatch_model::secret::Sealed;
use dispatch_model::{Logs, Name, OrgName, RawJson, Resource, State, Tags};
use dispatch_server::invoke::{
    Engines, Invoker, OpenSealed, RunMetrics, RunRequest, Settings, Values, json,
};
use dispatch_server::secrets::Secrets;
use dispatch_store::{Options, Store};
use prometheus_client::registry::Registry;
use uuid::Uuid;

use serve::serve;

const CLIENTS: usize = 64;

struct Nothing;

#[async_trait]
impl Engine for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { languages: vec!["nothing".to_owned()], ..Capabilities::default() }
    }

    async fn build(&self, _: &Deployment) -> EngineResult<()> {
        Ok(())
    }

    async fn ensure(&self, _: &Deployment) -> EngineResult<()> {
        Ok(())
    }

    async fn observe(&self, _: Uuid) -> EngineResult<Observed> {
        Ok(Observed::Ready { workers: 0 })
    }

    async fn remove(&self, _: Uuid) -> EngineResult<()> {
        Ok(())
    }

    async fn invoke(&self, _: Uuid, _: Call) -> EngineResult<Outcome> {
        let result = Ok(RawJson::written(r#"{"message":"Hello, world"}"#.to_owned()));
        Ok(Outcome { result, logs: Logs::default(), phases: Phases::default() })
    }

    async fn health(&self) -> Health {
        Health { ok: true, message: String::new() }
    }

    fn workers(&self) -> (u64, u64) {
        (0, 0)
    }

    async fn shutdown(&self) {}
}

struct NoSecrets;

impl OpenSealed for NoSecrets {
    fn open_sealed(&self, _: &OrgName, _: &Name, _: &Sealed) -> anyhow::Result<Values> {
        Ok(Values::new())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let calls: u32 = std::env::args().nth(1).map_or(Ok(200_000), |n| n.parse())?;
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}", directory.path().join("bench.db").display());
    let store = Store::open(&url, Options::default()).await?;
    let (org, name) = (OrgName::new("dispatch")?, Name::new("hello")?);
    let spec = FunctionSpec { image: "nothing".to_owned(), ..FunctionSpec::default() };
    let mut function =
        Resource::<Function>::new(org.clone(), name.clone(), Tags::new(), State::Ready, spec);
    store.insert(&function).await?;
    serve(&store, "nothing", &mut function).await?;

    engine_alone(calls).await?;
    let mut engines = Engines::default();
    engines.add(Arc::new(Nothing));
    let metrics = Arc::new(RunMetrics::register(&mut Registry::default()));
    let settings = Settings::default();
    let secrets = Arc::new(Secrets::sealed(Arc::new(NoSecrets)));
    let invoker = Invoker::new(store.clone(), secrets, engines, metrics, settings);
    let input = json::raw(bytes::Bytes::from_static(br#"{"name":"world","place":"everywhere"}"#))?;
    let request = RunRequest {
        input: Some(input),
        ..RunRequest::new(org, name, Arc::from("018f0000-0000-7000-8000-000000000000"))
    };
    blocking(&invoker, &request, calls).await?;
    accepted(&invoker, &request, calls / 5).await?;
    invoker.shutdown().await;
    store.close().await;
    Ok(())
}

async fn engine_alone(calls: u32) -> anyhow::Result<()> {
    let engine: Arc<dyn Engine> = Arc::new(Nothing);
    let begun = Instant::now();
    for _ in 0..calls {
        let call = Call {
            run_id: Uuid::nil(),
            context: Bytes::new(),
            payload: Bytes::new(),
            deadline: Instant::now() + Duration::from_secs(1),
        };
        engine.invoke(Uuid::nil(), call).await?;
    }
    println!("engine alone:  {:>8.0} ns a call", nanoseconds(begun, calls));
    Ok(())
}

async fn blocking(invoker: &Arc<Invoker>, request: &RunRequest, calls: u32) -> anyhow::Result<()> {
    invoker.run(request.clone()).await?;
    let begun = Instant::now();
    for _ in 0..calls {
        let run = invoker.run(request.clone()).await?;
        anyhow::ensure!(run.state == State::Ready, "{run:?}");
    }
    println!("blocking run:  {:>8.0} ns a call", nanoseconds(begun, calls));
    Ok(())
}

async fn accepted(invoker: &Arc<Invoker>, request: &RunRequest, runs: u32) -> anyhow::Result<()> {
    let each = runs / u32::try_from(CLIENTS)?;
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|_| {
        let (invoker, request) = (invoker.clone(), request.clone());
        tokio::spawn(async move {
            for _ in 0..each {
                invoker.accept(request.clone()).await?;
            }
            anyhow::Ok(())
        })
    });
    for client in futures::future::join_all(clients).await {
        client??;
    }
    let rate = f64::from(each) * CLIENTS as f64 / begun.elapsed().as_secs_f64();
    println!("accepted runs: {rate:>8.0} a second, {CLIENTS} clients");
    Ok(())
}

fn nanoseconds(begun: Instant, calls: u32) -> f64 {
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}

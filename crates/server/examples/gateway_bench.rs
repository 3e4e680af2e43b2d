//! The gateway and the invoker over an engine that does nothing, against a bare hyper "hello".
//!
//! `cargo run --release -p dispatch-server --example gateway_bench` starts each as a process of
//! its own on the first core (by `taskset -c 0`), loads both in turn, and prints requests a second
//! and the ratio of the medians. Keep the load off the servers' core:
//! `taskset -c 1 target/release/examples/gateway_bench`.

#[path = "support/serve.rs"]
mod serve;

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Health, Observed, Outcome, Phases,
    Result as EngineResult,
};
use dispatch_model::api::ApiSpec;
use dispatch_model::function::{Function, FunctionSpec};
use dispatch_model::secret::Sealed;
use dispatch_model::{Logs, Name, OrgName, RawJson, Resource, State, Tags};
use dispatch_server::gateway::tls::Certificates;
use dispatch_server::gateway::{self, Gateway, GatewayMetrics};
use dispatch_server::invoke::{Engines, Invoker, OpenSealed, RunMetrics, Settings, Values};
use dispatch_server::secrets::Secrets;
use dispatch_store::{Options, Store};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use serve::serve;

const CONNECTIONS: usize = 64;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const REQUEST: &[u8] = b"POST /dispatch/hello HTTP/1.1\r\nHost: localhost\r\n\
    Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"name\":\"world\"}";

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
        let result = Ok(RawJson::written("\"hello\"".to_owned()));
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

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("bare") => runtime()?.block_on(serve_bare()),
        Some("gateway") => runtime()?.block_on(serve_gateway()),
        _ => compare(),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve_bare() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let hello = service_fn(|_| async {
            let body = Full::new(Bytes::from_static(b"\"hello\""));
            Ok::<_, Infallible>(http::Response::new(body))
        });
        tokio::spawn(async move {
            // A client that leaves is no event here.
            let io = TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, hello).await;
        });
    }
}

async fn serve_gateway() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}", directory.path().join("bench.db").display());
    let store = Store::open(&url, Options::default()).await?;
    let (org, name) = (OrgName::new("dispatch")?, Name::new("hello")?);
    let spec = FunctionSpec { image: "nothing".to_owned(), ..FunctionSpec::default() };
    let mut function =
        Resource::<Function>::new(org.clone(), name.clone(), Tags::new(), State::Ready, spec);
    store.insert(&function).await?;
    serve(&store, "nothing", &mut function).await?;
    let mut engines = Engines::default();
    engines.add(Arc::new(Nothing));
    let mut registry = Registry::default();
    let metrics = Arc::new(RunMetrics::register(&mut registry));
    let secrets = Arc::new(Secrets::sealed(Arc::new(NoSecrets)));
    let invoker = Invoker::new(store, secrets, engines, metrics, Settings::default());
    let metrics = GatewayMetrics::register(&mut registry);
    let certificates = Certificates::open(directory.path())?;
    let gateway = Gateway::new(invoker, certificates, metrics, gateway::Settings::default());
    let api = ApiSpec {
        function: "hello".to_owned(),
        methods: vec!["POST".to_owned()],
        uris: vec!["/hello".to_owned()],
        hosts: Vec::new(),
        protocols: Vec::new(),
        authentication: "public".to_owned(),
        enabled: true,
        cors: false,
        tls: None,
    };
    let rank = gateway::Rank { created_ms: 0, id: Uuid::nil() };
    gateway.put(&org, &name, rank, &api)?;
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let https = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", http.local_addr()?);
    gateway.serve(http, https, CancellationToken::new()).await;
    Ok(())
}

/// A server on the first core; stopped when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(kind: &str) -> anyhow::Result<Server> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(std::env::current_exe()?).arg(kind).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start taskset")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    Ok(Server { child, address: line.trim().to_owned() })
}

fn compare() -> anyhow::Result<()> {
    let (bare, gateway) = (start("bare")?, start("gateway")?);
    let mut rates = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.0.push(load(&bare.address)?);
        rates.1.push(load(&gateway.address)?);
    }
    let (bare, gateway) = (median(rates.0), median(rates.1));
    println!("bare hyper: {bare:>8.0} requests/s");
    println!("gateway:    {gateway:>8.0} requests/s, {:.2} of it", gateway / bare);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Requests a second of clients that each wait for their answer.
fn load(address: &str) -> anyhow::Result<f64> {
    let connect = |_| TcpStream::connect(address);
    let mut streams = (0..CONNECTIONS).map(connect).collect::<Result<Vec<_>, _>>()?;
    let mut buffer = [0; 4_096];
    let (mut answers, begun) = (0_u32, Instant::now());
    while begun.elapsed() < ROUND {
        for stream in &mut streams {
            stream.write_all(REQUEST)?;
        }
        for stream in &mut streams {
            let mut read = 0;
            while !buffer[..read].ends_with(b"\"hello\"") {
                let more = stream.read(&mut buffer[read..])?;
                anyhow::ensure!(more > 0, "the server closed a connection");
                read += more;
            }
            anyhow::ensure!(buffer.starts_with(b"HTTP/1.1 200"), "an answer was not a success");
            answers += 1;
        }
    }
    Ok(f64::from(answers) / begun.elapsed().as_secs_f64())
}

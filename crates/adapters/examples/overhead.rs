//! What a driver adds to a call: an empty function called over a bare connection to where it runs,
//! and through the driver, in turns. Prints one line of JSON with both in microseconds.
//!
//!     overhead docker
//!     overhead TYPE --image REFERENCE --direct URL [--set KEY=VALUE …] [--secret KEY=VALUE …]
//!
//! The first starts a Docker engine for it. The second is for an engine that is there: what answers
//! at the URL must speak the Function Runtime API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use dispatch_adapters::engine;
use dispatch_driver::conformance::Program;
use dispatch_driver::language::Languages;
use dispatch_driver::{Beside, Call, Config, Deployment, Engine, Error, SourceStore};
use dispatch_systems::docker::{self, Docker};
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::programs::{has, has_root_and};
use dispatch_systems::registry::{self, Registry};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use uuid::Uuid;

const WARM_UP: usize = 200;
const PAYLOAD: &str = r#"{"echo": {"name": "Ada", "place": "London"}}"#;
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let kind = words.next().context("which type of engine? overhead docker")?;
    let mut given = Given { kind, ..Given::default() };
    while let Some(option) = words.next() {
        let value = words.next().with_context(|| format!("{option} needs a value"))?;
        given.take(&option, value)?;
    }
    match (&given.image, &given.direct) {
        (Some(image), Some(direct)) => measure(&given, image, direct).await,
        (None, None) if given.kind == "docker" => on_docker(given).await,
        _ => bail!("--image and --direct go together; without them: overhead docker"),
    }
}

#[derive(Default)]
struct Given {
    kind: String,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    image: Option<String>,
    direct: Option<String>,
    calls: Option<usize>,
}

impl Given {
    fn take(&mut self, option: &str, value: String) -> Result<()> {
        let pair = |text: &str| -> Result<(String, String)> {
            let (key, value) = text.split_once('=').context("write KEY=VALUE")?;
            Ok((key.to_owned(), value.to_owned()))
        };
        match option {
            "--set" => self.settings.extend([pair(&value)?]),
            "--secret" => self.secrets.extend([pair(&value)?]),
            "--image" => self.image = Some(value),
            "--direct" => self.direct = Some(value),
            "--calls" => self.calls = Some(value.parse()?),
            _ => bail!("{option} is not known: --set, --secret, --image, --direct, --calls"),
        }
        Ok(())
    }

    async fn engine(&self) -> Result<Arc<dyn Engine>> {
        let types = engine::types();
        let found = types.iter().find(|known| known.name() == self.kind);
        let kind = found.with_context(|| format!("no engine has the type {}", self.kind))?;
        let (settings, secrets) = (self.settings.clone(), self.secrets.clone());
        let config = Config::check("measured", kind.known(), settings, secrets);
        let config = config.map_err(|violation| anyhow::anyhow!("{violation:?}"))?;
        let languages = Languages::builtin();
        let beside = Beside { sources: Arc::new(NoSources), images: None, languages };
        Ok(kind.make(config, &beside).await?)
    }
}

/// Only engines that pull images are measured.
struct NoSources;

#[async_trait::async_trait]
impl SourceStore for NoSources {
    async fn read(&self, digest: &str) -> dispatch_driver::Result<Bytes> {
        Err(Error::caller("ENGINE001", format!("there is no source {digest}, but an image")))
    }
}

async fn on_docker(mut given: Given) -> Result<()> {
    if !has_root_and(docker::PROGRAMS) || !has(registry::PROGRAMS) {
        bail!("a Docker engine cannot be started here");
    }
    let docker = tokio::task::spawn_blocking(Docker::start).await?;
    let registry = Registry::start();
    let images = FunctionImages::new(&registry.address).await;
    let source = Program::Conformance.source("python3").context("the suite has Python")?;
    let image = images.push(&source).await;
    for (key, value) in [("host", &*docker.host()), ("network", "host")] {
        given.settings.insert(key.to_owned(), value.to_owned());
    }
    let engine = given.engine().await?;
    let deployment = built(&*engine, &image).await?;
    let id = docker.run(&["ps", "--quiet"]);
    let environment = docker.run(&["inspect", "--format={{json .Config.Env}}", &id]);
    let environment: Vec<String> = serde_json::from_str(&environment)?;
    let port = environment.iter().find_map(|entry| entry.strip_prefix("PORT="));
    let direct = format!("http://127.0.0.1:{}/", port.context("it has a port")?);
    compare(&*engine, &deployment, &direct, given.calls).await?;
    engine.shutdown().await;
    Ok(())
}

async fn measure(given: &Given, image: &str, direct: &str) -> Result<()> {
    let engine = given.engine().await?;
    let deployment = built(&*engine, image).await?;
    let compared = compare(&*engine, &deployment, direct, given.calls).await;
    engine.remove(deployment.id).await?;
    engine.shutdown().await;
    compared
}

/// One worker, so that both ways lead to the same.
async fn built(engine: &dyn Engine, image: &str) -> Result<Deployment> {
    let function_image = Some(image.to_owned());
    let suite = Program::Conformance.deployment("python3");
    let deployment = Deployment { function_image, concurrency: 1, ..suite };
    engine.build(&deployment).await?;
    engine.ensure(&deployment).await?;
    Ok(deployment)
}

async fn compare(
    engine: &dyn Engine,
    deployment: &Deployment,
    direct: &str,
    calls: Option<usize>,
) -> Result<()> {
    let mut bare = Bare::connect(direct).await?;
    let calls = calls.unwrap_or(5_000);
    let (mut directly, mut through) = (Vec::new(), Vec::new());
    for turn in 0..WARM_UP + calls {
        let call = Call {
            run_id: Uuid::now_v7(),
            context: Bytes::from_static(br#"{"timeout":10000}"#),
            payload: Bytes::from_static(PAYLOAD.as_bytes()),
            deadline: Instant::now() + LIMIT,
        };
        let begun = Instant::now();
        bare.call().await?;
        let (direct, begun) = (begun.elapsed(), Instant::now());
        let outcome = engine.invoke(deployment.id, call).await?;
        let driven = begun.elapsed();
        if let Err(error) = outcome.result {
            bail!("the function failed: {}", error.message);
        }
        if turn >= WARM_UP {
            directly.push(direct);
            through.push(driven);
        }
    }
    let quantile = |times: &mut Vec<Duration>, q: f64| {
        times.sort_unstable();
        times[((times.len() - 1) as f64 * q) as usize].as_micros() as u64
    };
    let line = json!({
        "calls": calls,
        "directP50us": quantile(&mut directly, 0.5),
        "directP99us": quantile(&mut directly, 0.99),
        "driverP50us": quantile(&mut through, 0.5),
        "driverP99us": quantile(&mut through, 0.99),
    });
    println!("{line}");
    Ok(())
}

/// One connection, with nothing around it.
struct Bare {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Bare {
    async fn connect(url: &str) -> Result<Self> {
        let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = tokio::net::TcpStream::connect(&authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority })
    }

    async fn call(&mut self) -> Result<()> {
        let body = format!(r#"{{"context":{{"timeout":10000}},"payload":{PAYLOAD}}}"#);
        let request = hyper::Request::post("/").header("host", &self.authority);
        let request = request.header("content-type", "application/json");
        self.sender.ready().await?;
        let sent = self.sender.send_request(request.body(Full::from(body))?).await?;
        let status = sent.status();
        let answer = sent.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

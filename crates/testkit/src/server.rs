//! A server of one test.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dispatch_server::boot::{self, Running};
use dispatch_server::config::{Config, Layers};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Answer;

/// Longest a test waits for something to become true.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server of a test is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Settings in TOML, over the defaults.
    pub settings: String,
}

/// A running server. [`Server::stop`] ends it gracefully; dropping it just lets go.
pub struct Server {
    running: Option<Running>,
    options: Options,
    dir: TempDir,
    http: reqwest::Client,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        boot::prepare();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let running = Some(start(dir.path(), &options).await.expect("the server starts"));
        let http = reqwest::Client::builder().build().expect("a client");
        Self { running, options, dir, http }
    }

    /// Stops the server gracefully and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        let running = start(self.dir.path(), &self.options).await;
        self.running = Some(running.expect("the server starts again"));
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// What runs inside.
    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("the server was not stopped")
    }

    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// A request to the API that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.running().api))
    }

    /// A request to the gateway that is not sent yet.
    pub fn gateway(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.running().gateway_http))
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Waits until the thing at `path` has the status, and returns it.
    pub async fn wait_for(&self, path: &str, status: &str) -> Value {
        eventually(&format!("{path} is {status}"), async || {
            let answer = self.get(path).await;
            let thing = answer.json();
            (thing["status"] == status).then_some(thing).ok_or(answer.text)
        })
        .await
    }

    /// Waits until there is nothing at `path`.
    pub async fn wait_gone(&self, path: &str) {
        eventually(&format!("{path} is gone"), async || {
            let answer = self.get(path).await;
            (answer.status == 404).then_some(()).ok_or(answer.text)
        })
        .await
    }

    /// A base image and an image of a language, both READY.
    pub async fn image(&self, language: &str) {
        let url = format!("host:{language}");
        let name = format!("{language}-base");
        let base = json!({"name": name, "dockerUrl": url, "language": language});
        self.post("/v1/baseimage", base).await.expect(201);
        let image = json!({"name": language, "baseImageName": name});
        self.post("/v1/image", image).await.expect(201);
        self.wait_for(&format!("/v1/image/{language}"), "READY").await;
    }
}

/// Sends a request and reads the answer to its end.
pub async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("the server answers")).await
}

/// Looks again and again until `look` succeeds; fails the test when it does not in time.
pub async fn eventually<T, E: std::fmt::Display>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) if Instant::now() > deadline => panic!("never: {what}; last: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn start(dir: &Path, options: &Options) -> anyhow::Result<Running> {
    boot::start(config(dir, options)?).await
}

fn config(dir: &Path, options: &Options) -> anyhow::Result<Config> {
    let mut layers = Layers::default();
    layers.toml(&options.settings)?;
    layers.text("server", "data_dir", &dir.display().to_string())?;
    for (section, key) in [("api", "listen"), ("gateway", "http"), ("gateway", "https")] {
        layers.text(section, key, "127.0.0.1:0")?;
    }
    layers.text("process", "init_exe", &server_binary()?.display().to_string())?;
    layers.config()
}

/// Sandboxes are made by the server's binary, which a test's own cannot stand in for. Cargo
/// builds it one directory above the tests.
fn server_binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.parent().and_then(Path::parent).context("a test lies in target/x/deps")?;
    Ok(target.join("dispatch-server"))
}

//! The part of the Docker Engine's HTTP API that is needed here, over a unix socket or TCP.
//! Podman serves the same part.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use dispatch_driver::{Config, Error, Result, Retry, engine_type};
use dispatch_model::code;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::runtime::shown;

/// The newest version of the API that is known here; engines that know less are spoken to in
/// theirs.
const NEWEST: (u32, u32) = (1, 47);
/// Longest time of a request that moves no image and waits for no container.
const PATIENCE: Duration = Duration::from_secs(30);
const HEALTH: Duration = Duration::from_secs(2);

pub struct Api {
    http: reqwest::Client,
    base: String,
    /// As the operator wrote it.
    place: String,
    /// Header with the registry's user and password.
    registry: Option<String>,
    pull_timeout: Duration,
    version: OnceCell<String>,
}

/// Why a request was not done.
#[derive(Debug)]
pub enum Failure {
    /// Docker's answer.
    Refused {
        status: StatusCode,
        message: String,
    },
    Unreachable(String),
}

impl Failure {
    pub fn is(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }

    /// The error of a driver: the system's fault.
    pub fn error(&self, what: &str) -> Error {
        let text = match self {
            Self::Refused { status, message } => format!("{what}: {message} ({status})"),
            Self::Unreachable(message) => format!("{what}: {message}"),
        };
        Error::backend(code::ENGINE006, Retry::After(Duration::from_secs(1)), text).unreached()
    }
}

pub type Answer<T> = std::result::Result<T, Failure>;

/// A request before it is sent.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<Value>,
    limit: Duration,
}

impl Api {
    /// # Errors
    /// When the settings do not go together, or a file of them cannot be read.
    pub async fn new(config: &Config) -> Result<Self> {
        let place = config.text("host").unwrap_or_default().to_owned();
        // The engine is never behind the proxy of this machine.
        let builder = reqwest::Client::builder().no_proxy();
        // What it answers comes from no other place.
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        let files = ["caFile", "certificateFile", "keyFile"].map(|key| config.text(key));
        let (builder, base) = if let Some(socket) = place.strip_prefix("unix://") {
            if files.iter().any(Option::is_some) {
                let text = "settings.host is a unix socket, which has no TLS: \
                            leave out caFile, certificateFile and keyFile";
                return Err(engine_type::refused(text));
            }
            (builder.unix_socket(socket), "http://docker".to_owned())
        } else if let Some(address) = place.strip_prefix("tcp://") {
            let scheme = if files.iter().any(Option::is_some) { "https" } else { "http" };
            (tls(builder, files).await?, format!("{scheme}://{address}"))
        } else {
            let text = format!("settings.host is {place:?}; write unix:///PATH or tcp://HOST:PORT");
            return Err(engine_type::refused(text));
        };
        let http = builder.build().map_err(|error| {
            engine_type::refused(format!("the settings make no HTTP client: {error}"))
        })?;
        let registry = config.text("username").map(|username| {
            let password = config.text("password").unwrap_or_default();
            let login = json!({"username": username, "password": password}).to_string();
            base64::engine::general_purpose::URL_SAFE.encode(login)
        });
        let pull_timeout = config.duration("pullTimeout").unwrap_or(PATIENCE);
        Ok(Self { http, base, place, registry, pull_timeout, version: OnceCell::new() })
    }

    /// Name and version of the engine.
    pub async fn ping(&self) -> Answer<String> {
        let ask = Ask::new(Method::GET, "/_ping").within(HEALTH);
        let response = self.send(&ask, &format!("{}/_ping", self.base)).await?;
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
        let server = header("server").unwrap_or("an engine").to_owned();
        let version = header("api-version").unwrap_or_default().to_owned();
        Ok(format!("{server} with API {version} at {}", self.place))
    }

    /// Begin of all paths, with the newest version that both sides know.
    async fn prefix(&self) -> Answer<&str> {
        let known = self.version.get_or_try_init(async || {
            let ask = Ask::new(Method::GET, "/_ping").within(HEALTH);
            let response = self.send(&ask, &format!("{}/_ping", self.base)).await?;
            let theirs = response.headers().get("api-version").and_then(|v| v.to_str().ok());
            let theirs = theirs.and_then(number).unwrap_or(NEWEST);
            let (major, minor) = theirs.min(NEWEST);
            Ok(format!("{}/v{major}.{minor}", self.base))
        });
        known.await.map(String::as_str)
    }

    async fn send(&self, ask: &Ask<'_>, url: &str) -> Answer<reqwest::Response> {
        let mut request = self.http.request(ask.method.clone(), url).query(ask.query);
        request = request.timeout(ask.limit);
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        if let Some(registry) = self.registry.as_ref().filter(|_| ask.path == "/images/create") {
            request = request.header("X-Registry-Auth", registry);
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let body = response.bytes().await.unwrap_or_default();
            let said = serde_json::from_slice::<Said>(&body).map(|said| said.message);
            let message = said.unwrap_or_else(|_| shown(&body));
            return Err(Failure::Refused { status, message });
        }
        Ok(response)
    }

    async fn ask(&self, ask: Ask<'_>) -> Answer<Bytes> {
        let url = format!("{}{}", self.prefix().await?, ask.path);
        let response = self.send(&ask, &url).await?;
        response.bytes().await.map_err(|error| self.unreachable(error))
    }

    async fn read<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Answer<T> {
        let body = self.ask(ask).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let (place, shown) = (&self.place, shown(&body));
            Failure::Unreachable(format!("{place} gave no answer of Docker ({error}): {shown}"))
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let error = crate::runtime::unanswered(error);
        Failure::Unreachable(format!("Docker at {}: {error}", self.place))
    }

    pub async fn has_image(&self, image: &str) -> Answer<bool> {
        let path = format!("/images/{image}/json");
        match self.ask(Ask::new(Method::GET, &path)).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Pulls an image; the failure of one comes late, in an answer that began well.
    pub async fn pull(&self, image: &str) -> Answer<()> {
        let query = [("fromImage", image)];
        let ask = Ask::new(Method::POST, "/images/create").within(self.pull_timeout);
        let progress = self.ask(Ask { query: &query, ..ask }).await?;
        let steps = serde_json::Deserializer::from_slice(&progress).into_iter::<Step>();
        match steps.flatten().find_map(|step| step.error) {
            None => Ok(()),
            Some(message) => Err(Failure::Refused { status: StatusCode::BAD_GATEWAY, message }),
        }
    }

    /// Takes away the reference; the image goes with its last one. One in use stays.
    pub async fn remove_image(&self, image: &str) -> Answer<()> {
        let path = format!("/images/{image}");
        gone(self.ask(Ask::new(Method::DELETE, &path)).await)
    }

    /// Its id.
    pub async fn create(&self, name: &str, container: Value) -> Answer<String> {
        let query = [("name", name)];
        let ask = Ask::new(Method::POST, "/containers/create");
        let ask = Ask { query: &query, body: Some(container), ..ask };
        self.read::<Created>(ask).await.map(|created| created.id)
    }

    pub async fn start(&self, id: &str) -> Answer<()> {
        let path = format!("/containers/{id}/start");
        self.ask(Ask::new(Method::POST, &path)).await.map(drop)
    }

    pub async fn inspect(&self, id: &str) -> Answer<Inspected> {
        let path = format!("/containers/{id}/json");
        self.read(Ask::new(Method::GET, &path)).await
    }

    /// Returns when it runs no more, or after `limit` with a failure.
    pub async fn ended(&self, id: &str, limit: Duration) -> Answer<()> {
        let (path, query) = (format!("/containers/{id}/wait"), [("condition", "not-running")]);
        let ask = Ask::new(Method::POST, &path).within(limit);
        self.ask(Ask { query: &query, ..ask }).await.map(drop)
    }

    /// Asks it to end, kills it after `grace`, and removes it.
    pub async fn stop(&self, id: &str, grace: Duration) -> Answer<()> {
        let seconds = grace.as_secs().to_string();
        let (path, query) = (format!("/containers/{id}/stop"), [("t", &*seconds)]);
        let ask = Ask::new(Method::POST, &path).within(grace + PATIENCE);
        gone(self.ask(Ask { query: &query, ..ask }).await)?;
        self.remove(id).await
    }

    /// Kills it if it runs, and removes it.
    pub async fn remove(&self, id: &str) -> Answer<()> {
        let (path, query) = (format!("/containers/{id}"), [("force", "true"), ("v", "true")]);
        let ask = Ask::new(Method::DELETE, &path);
        gone(self.ask(Ask { query: &query, ..ask }).await)
    }

    /// Containers with a label, `NAME` or `NAME=VALUE`, also those that run no more.
    pub async fn containers(&self, label: &str) -> Answer<Vec<Listed>> {
        let filters = json!({"label": [label]}).to_string();
        let query = [("all", "true"), ("filters", &*filters)];
        self.read(Ask { query: &query, ..Ask::new(Method::GET, "/containers/json") }).await
    }

    /// The last lines a container printed.
    pub async fn logs(&self, id: &str, lines: usize) -> Answer<Vec<String>> {
        let (path, tail) = (format!("/containers/{id}/logs"), lines.to_string());
        let query = [("stdout", "true"), ("stderr", "true"), ("tail", &*tail)];
        let bytes = self.ask(Ask { query: &query, ..Ask::new(Method::GET, &path) }).await?;
        Ok(super::log::lines(&bytes))
    }

    pub async fn create_volume(&self, name: &str, labels: Value) -> Answer<()> {
        let body = json!({"Name": name, "Labels": labels});
        let ask = Ask::new(Method::POST, "/volumes/create");
        self.ask(Ask { body: Some(body), ..ask }).await.map(drop)
    }

    pub async fn remove_volume(&self, name: &str) -> Answer<()> {
        let path = format!("/volumes/{name}");
        gone(self.ask(Ask::new(Method::DELETE, &path)).await)
    }

    /// Volumes with a label.
    pub async fn volumes(&self, label: &str) -> Answer<Vec<Volume>> {
        let filters = json!({"label": [label]}).to_string();
        let query = [("filters", &*filters)];
        let ask = Ask { query: &query, ..Ask::new(Method::GET, "/volumes") };
        Ok(self.read::<Volumes>(ask).await?.volumes.unwrap_or_default())
    }
}

impl<'a> Ask<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, query: &[], body: None, limit: PATIENCE }
    }

    fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

/// What is not there any more, or is going already, has been removed.
fn gone(answer: Answer<Bytes>) -> Answer<()> {
    match answer {
        Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(()),
        Err(failure) if failure.is(StatusCode::CONFLICT) => Ok(()),
        other => other.map(drop),
    }
}

fn number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

async fn tls(
    builder: reqwest::ClientBuilder,
    [ca, certificate, key]: [Option<&str>; 3],
) -> Result<reqwest::ClientBuilder> {
    let unusable = |key: &str, error: reqwest::Error| {
        engine_type::refused(format!("settings.{key} holds no PEM that can be used: {error}"))
    };
    let mut builder = builder;
    if let Some(ca) = ca {
        let pem = file("caFile", ca).await?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        builder = builder.tls_certs_only(certificates.map_err(|e| unusable("caFile", e))?);
    }
    match (certificate, key) {
        (None, None) => Ok(builder),
        (Some(certificate), Some(key)) => {
            let mut pem = file("certificateFile", certificate).await?;
            pem.extend(file("keyFile", key).await?);
            let identity = reqwest::Identity::from_pem(&pem);
            Ok(builder.identity(identity.map_err(|e| unusable("certificateFile", e))?))
        }
        _ => Err(engine_type::refused("settings.certificateFile and keyFile go together")),
    }
}

async fn file(setting: &str, path: &str) -> Result<Vec<u8>> {
    tokio::fs::read(path).await.map_err(|error| {
        engine_type::refused(format!("settings.{setting}: {path} cannot be read: {error}"))
    })
}

#[derive(Deserialize)]
struct Said {
    message: String,
}

#[derive(Deserialize)]
struct Step {
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    pub id: String,
    pub state: String,
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    pub name: String,
    pub labels: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspected {
    pub state: State,
    pub network_settings: NetworkSettings,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    pub running: bool,
    pub exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    pub oom_killed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    #[serde(default)]
    pub ports: Option<std::collections::BTreeMap<String, Option<Vec<Binding>>>>,
    #[serde(default)]
    pub networks: Option<std::collections::BTreeMap<String, Network>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Binding {
    pub host_port: String,
}

#[derive(Debug, Deserialize)]
pub struct Network {
    #[serde(default, rename = "IPAddress")]
    pub ip_address: String,
}

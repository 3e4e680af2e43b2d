//! OpenFaaS's gateway, as its REST API is documented.

use std::sync::RwLock;
use std::time::Duration;

use bytes::Bytes;
use dispatch_driver::{Config, Error, Result, Retry};
use dispatch_model::code;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::function::{Function, Info, LogLine, Status, name};
use super::settings::Settings;
use crate::client::client;
use crate::runtime::{self, Reply};

/// Longest time until it is known whether the gateway answers.
const HEALTH: Duration = Duration::from_secs(2);
/// Longest time of what is small.
const SMALL: Duration = Duration::from_secs(30);
/// faasd pulls the image before it answers.
const DEPLOY: Duration = Duration::from_secs(300);

/// One gateway, and who signs in there.
pub struct Gateway {
    pub http: Client,
    url: String,
    user: String,
    password: Option<String>,
    token: Option<String>,
    token_file: Option<String>,
    namespace: Option<String>,
    flavour: RwLock<Option<Flavour>>,
}

/// What stands behind a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flavour {
    pub provider: String,
    pub release: String,
    /// Whether it is on Kubernetes, where there can be more replicas than one, and none; not in
    /// faasd.
    pub scales: bool,
}

impl Gateway {
    pub fn new(config: &Config, settings: &Settings) -> Result<Self> {
        let text = |key: &str| config.text(key).map(str::to_owned);
        let connect = config.duration("connectTimeout").unwrap_or(HEALTH);
        Ok(Self {
            http: client(connect, config.text("caFile"))?,
            url: config.url("gateway").unwrap_or_default().to_owned(),
            user: text("user").unwrap_or_default(),
            password: text("password"),
            token: text("token"),
            token_file: text("tokenFile"),
            namespace: settings.namespace.clone(),
            flavour: RwLock::new(None),
        })
    }

    /// Where calls of a function are answered.
    pub fn sync(&self, id: Uuid) -> String {
        self.call("function", id)
    }

    /// Where calls of a function are queued.
    pub fn asynchronous(&self, id: Uuid) -> String {
        self.call("async-function", id)
    }

    fn call(&self, how: &str, id: Uuid) -> String {
        let (url, name) = (&self.url, name(id));
        match &self.namespace {
            None => format!("{url}/{how}/{name}"),
            Some(namespace) => format!("{url}/{how}/{name}.{namespace}"),
        }
    }

    fn system(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let request = self.http.request(method, format!("{}/system/{path}", self.url));
        let request = match &self.namespace {
            None => request,
            Some(namespace) => request.query(&[("namespace", namespace)]),
        };
        if let Some(file) = &self.token_file {
            let token = std::fs::read_to_string(file).map_err(|error| {
                let text = format!("settings.tokenFile, {file}: {error}");
                Error::backend(code::ENGINE006, Retry::After(HEALTH), text).unreached()
            })?;
            return Ok(request.bearer_auth(token.trim()));
        }
        Ok(match (&self.token, &self.password) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some(password)) => request.basic_auth(&self.user, Some(password)),
            (None, None) => request,
        })
    }

    /// The body of a success; `None` when what was asked for is not there.
    async fn ask(&self, request: RequestBuilder, limit: Duration) -> Result<Option<Bytes>> {
        self.ask_for(runtime::MAX_SMALL, request, limit).await
    }

    /// The same with a body of `most` bytes.
    async fn ask_for(
        &self,
        most: usize,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Option<Bytes>> {
        let asked = runtime::ask(request, limit, most).await;
        let Reply { status, body, .. } = asked.map_err(|error| {
            let message = format!("{}: {}", self.url, error.message);
            Error { message, ..error }
        })?;
        if status.is_success() {
            return Ok(Some(body));
        }
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let shown = runtime::shown(&body);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let text = format!(
                    "{}: {status}: the gateway does not take how the engine signs in: see its \
                     secrets (password or token)",
                    self.url
                );
                Error::backend(code::ENGINE006, Retry::After(HEALTH), text)
            }
            _ => {
                let text = format!("{}: {status}: {shown}", self.url);
                Error::backend(code::ENGINE006, Retry::Now, text)
            }
        })
    }

    fn read<'a, T: serde::Deserialize<'a>>(&self, body: &'a [u8], what: &str) -> Result<T> {
        serde_json::from_slice(body).map_err(|error| {
            let shown = runtime::shown(body);
            let text = format!("{}: the answer is not {what} ({error}): {shown}", self.url);
            Error::backend(code::ENGINE006, Retry::Never, text)
        })
    }

    /// What stands behind it, as it was told last.
    pub async fn flavour(&self) -> Result<Flavour> {
        let known = self.flavour.read().ok().and_then(|flavour| flavour.clone());
        match known {
            Some(flavour) => Ok(flavour),
            None => self.learn().await,
        }
    }

    /// Asks it whether it can be worked with.
    pub async fn learn(&self) -> Result<Flavour> {
        let missing = |what: &str| {
            let text = format!("{}: {what}", self.url);
            Error::backend(code::ENGINE006, Retry::After(HEALTH), text)
        };
        let body = self.ask(self.system(Method::GET, "info")?, HEALTH).await?;
        let body =
            body.ok_or_else(|| missing("there is no OpenFaaS: /system/info is not there"))?;
        let Info { provider } = self.read(&body, "what OpenFaaS says of itself")?;
        if let Some(namespace) = &self.namespace {
            let body = self.ask(self.system(Method::GET, "namespaces")?, HEALTH).await?;
            let there: Vec<String> = match &body {
                None => Vec::new(),
                Some(body) => self.read(body, "a list of namespaces")?,
            };
            if !there.contains(namespace) {
                let text = format!(
                    "settings.namespace: there is no namespace {namespace} for functions, but {}",
                    there.join(", ")
                );
                return Err(missing(&text));
            }
        }
        let scales = !provider.name.contains("faasd") && provider.orchestration != "containerd";
        let release = provider.version.release;
        let flavour = Flavour { provider: provider.name, release, scales };
        if let Ok(mut known) = self.flavour.write() {
            *known = Some(flavour.clone());
        }
        Ok(flavour)
    }

    pub async fn function(&self, id: Uuid) -> Result<Option<Status>> {
        let request = self.system(Method::GET, &format!("function/{}", name(id)))?;
        let body = self.ask(request, SMALL).await?;
        body.map(|body| self.read(&body, "a function")).transpose()
    }

    pub async fn deploy(&self, function: &Function<'_>) -> Result<()> {
        let request = self.system(Method::POST, "functions")?.json(function);
        match self.ask(request, DEPLOY).await? {
            Some(_) => Ok(()),
            None => {
                let text = format!("{}: functions cannot be made there (404)", self.url);
                Err(Error::backend(code::ENGINE006, Retry::Never, text))
            }
        }
    }

    /// Deletes a function; one that is not there is deleted.
    pub async fn delete(&self, id: Uuid) -> Result<()> {
        let request = self.system(Method::DELETE, "functions")?;
        let request = request.json(&json!({"functionName": name(id)}));
        self.ask(request, SMALL).await.map(drop)
    }

    pub async fn scale(&self, id: Uuid, replicas: u32) -> Result<()> {
        let name = name(id);
        let request = self.system(Method::POST, &format!("scale-function/{name}"))?;
        let request = request.json(&json!({"serviceName": name, "replicas": replicas}));
        self.ask(request, SMALL).await.map(drop)
    }

    /// Whether a function's image tells through the gateway that it is well.
    pub async fn is_serving(&self, id: Uuid) -> Result<bool> {
        let request = self.http.get(format!("{}/healthz", self.sync(id))).timeout(SMALL);
        let answer = request.send().await.map_err(runtime::unanswered)?;
        Ok(answer.status() == StatusCode::OK)
    }

    /// The last lines a function printed, the newest last.
    pub async fn logs(&self, id: Uuid, lines: usize) -> Result<Vec<String>> {
        let request = self.system(Method::GET, "logs")?;
        let (name, tail) = (name(id), lines.to_string());
        let query = [("name", name.as_str()), ("tail", &tail), ("follow", "false")];
        let asked = self.ask_for(runtime::MAX_LOG, request.query(&query), SMALL);
        let body = asked.await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let read = |line: &str| serde_json::from_str::<LogLine>(line).ok();
        let all = text.lines().filter_map(read).map(|line| line.text.trim_end().to_owned());
        let all: Vec<String> = all.filter(|line| !line.is_empty()).collect();
        Ok(all[all.len().saturating_sub(lines)..].to_vec())
    }
}

//! Engines of anybody's making: the engine contract over HTTP, as `api/engine.openapi.json` has it.

#[cfg(feature = "conformance")]
pub mod bed;
mod wire;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashSet;
use dispatch_driver::{
    Beside, Call, Capabilities, Config, Deployment, Engine, EngineType, Error, Health, Observed,
    Outcome, Result, Retry, Setting, SourceStore, Value,
};
use dispatch_model::code;
use reqwest::{Method, RequestBuilder, StatusCode};
use uuid::Uuid;

use crate::client::{InFlight, client};
use crate::making::or_taken_back;
use crate::runtime;
use wire::{Lines, Order, Source, State};

/// Longest time until it is known whether the engine answers.
const HEALTH: Duration = Duration::from_secs(2);
/// Longest time of what is small: a look, a removal.
const SMALL: Duration = Duration::from_secs(30);
/// Between two looks at a deployment that is being made.
const LOOK: Duration = Duration::from_millis(200);
/// Milliseconds a call has left, so that an engine need not compare clocks.
const TIME_LEFT: &str = "dispatch-time-left-ms";

const SETTINGS: &[Setting] = &[
    Setting::new("url", Value::Url, "Where the engine listens; paths begin with /v1 below it.")
        .required(),
    Setting::new("token", Value::Text, "Sent with each request as a bearer token.").secret(),
    Setting::new("caFile", Value::Text, "Certificates (PEM) trusted besides the machine's."),
    Setting::new("connectTimeout", Value::Duration, "Longest time until a connection stands.")
        .default("2s"),
    Setting::new("buildTimeout", Value::Duration, "Longest time until a deployment is ready.")
        .default("5m"),
];

/// Makes engines of anybody's making.
pub struct RemoteType;

#[async_trait]
impl EngineType for RemoteType {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn about(&self) -> &'static str {
        "a server of your own that speaks Dispatch's engine contract over HTTP"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        let connect = config.duration("connectTimeout").unwrap_or(HEALTH);
        Ok(Arc::new(RemoteEngine {
            http: client(connect, config.text("caFile"))?,
            url: config.url("url").unwrap_or_default().to_owned(),
            token: config.text("token").map(str::to_owned),
            build_timeout: config.duration("buildTimeout").unwrap_or(SMALL),
            name: config.name,
            sources: beside.sources.clone(),
            capabilities: RwLock::default(),
            known: DashSet::new(),
            calls: InFlight::default(),
        }))
    }
}

struct RemoteEngine {
    name: String,
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    build_timeout: Duration,
    sources: Arc<dyn SourceStore>,
    /// As the engine told them last; empty before it did.
    capabilities: RwLock<Capabilities>,
    /// Deployments that were ready there.
    known: DashSet<Uuid>,
    calls: InFlight,
}

impl RemoteEngine {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn deployment(&self, method: Method, id: Uuid, below: &str) -> RequestBuilder {
        self.request(method, &format!("/v1/deployments/{id}{below}"))
    }

    /// Sends what is no call, and gives the body of a success.
    async fn ask(&self, request: RequestBuilder, limit: Duration) -> Result<Bytes> {
        self.ask_for(runtime::MAX_SMALL, request, limit).await
    }

    /// The same with a body of `most` bytes.
    async fn ask_for(
        &self,
        most: usize,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Bytes> {
        let reply = runtime::ask(request, limit, most).await?;
        match reply.status.is_success() {
            true => Ok(reply.body),
            false => Err(wire::failure(reply.status, &reply.headers, &reply.body)),
        }
    }

    async fn look(&self, id: Uuid) -> Result<Observed> {
        let asked = self.ask(self.deployment(Method::GET, id, ""), SMALL).await;
        match asked {
            Ok(body) => State::read(&body),
            Err(error) if error.code == code::ENGINE007 => Ok(Observed::Absent),
            Err(error) => Err(error),
        }
    }

    async fn learn(&self) -> Result<Capabilities> {
        let body = self.ask(self.request(Method::GET, "/v1/capabilities"), HEALTH).await?;
        let learnt = wire::capabilities(&body)?;
        *self.capabilities.write().unwrap_or_else(PoisonError::into_inner) = learnt.clone();
        Ok(learnt)
    }

    /// What is sent for a deployment: its own image where the engine takes those, else its source.
    async fn order<'a>(&self, deployment: &'a Deployment) -> Result<Order<'a>> {
        let known = self.capabilities();
        let known = if known.languages.is_empty() { self.learn().await? } else { known };
        let image = deployment.function_image.as_deref().filter(|_| known.pulls_images);
        if image.is_some() {
            return Ok(Order::of(deployment, image, None));
        }
        if deployment.image_digest.is_some() {
            let (engine, url) = (&self.name, &deployment.image_url);
            let text = format!(
                "the engine {engine} is given sources only, and the function needs the packages \
                 of {url}: name a bare image, or an engine that pulls images"
            );
            return Err(Error::caller(code::ENGINE001, text));
        }
        let bytes = self.sources.read(&deployment.source_digest).await?;
        let source = Source::of(&deployment.source_digest, &bytes);
        Ok(Order::of(deployment, None, Some(source)))
    }

    /// Makes it there unless it is there, and waits until it can be called; `sent` tells that it
    /// was not there.
    async fn make(&self, deployment: &Deployment, sent: &mut bool) -> Result<()> {
        let (id, deadline) = (deployment.id, Instant::now() + self.build_timeout);
        let mut observed = self.look(id).await?;
        if matches!(observed, Observed::Absent | Observed::Failed { .. }) {
            let order = self.order(deployment).await?;
            *sent = true;
            let put = self.deployment(Method::PUT, id, "").json(&order);
            observed = State::read(&self.ask(put, self.build_timeout).await?)?;
        }
        loop {
            match observed {
                Observed::Ready { .. } => {
                    self.known.insert(id);
                    return Ok(());
                }
                Observed::Failed { message } => {
                    return Err(Error::caller(code::ENGINE003, message));
                }
                Observed::Absent => {
                    let text = format!("the engine {} has lost what it was given", self.name);
                    return Err(Error::backend(code::ENGINE006, Retry::Now, text));
                }
                Observed::Pending { message } if Instant::now() > deadline => {
                    let limit = self.build_timeout.as_secs();
                    let text = format!("it was not ready within {limit} s: {message}");
                    return Err(Error::backend(code::ENGINE006, Retry::Now, text));
                }
                Observed::Pending { .. } => tokio::time::sleep(LOOK).await,
            }
            observed = self.look(id).await?;
        }
    }
}

#[async_trait]
impl Engine for RemoteEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let mut sent = false;
        let made = self.make(deployment, &mut sent).await;
        or_taken_back(made, sent, self.remove(deployment.id)).await
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        match self.known.contains(&deployment.id) {
            true => Ok(()),
            false => self.make(deployment, &mut false).await,
        }
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        self.look(id).await
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.known.remove(&id);
        match self.ask(self.deployment(Method::DELETE, id, ""), SMALL).await {
            Err(error) if error.code != code::ENGINE007 => Err(error),
            _ => Ok(()),
        }
    }

    async fn invoke(&self, id: Uuid, mut call: Call) -> Result<Outcome> {
        if !self.known.contains(&id) {
            return Err(unknown(&self.name));
        }
        let _entered = self.calls.enter();
        let (begun, ends) = (Instant::now(), call.deadline);
        let left = ends.saturating_duration_since(begun);
        let request = self
            .deployment(Method::POST, id, "/invoke")
            .header("content-type", "application/json")
            .header("dispatch-run-id", call.run_id.to_string())
            .header(TIME_LEFT, left.as_millis().to_string())
            .body(runtime::body(&call));
        call.deadline = ends + runtime::GRACE;
        let reply = match runtime::send(request, &call).await {
            Ok(reply) => reply,
            Err(error) => return runtime::unheard(error, begun, ends),
        };
        if reply.status == StatusCode::OK {
            return runtime::outcome(&reply, runtime::handled(begun));
        }
        let error = wire::failure(reply.status, &reply.headers, &reply.body);
        if error.code == code::ENGINE007 {
            self.known.remove(&id);
        }
        Err(error)
    }

    async fn logs(&self, id: Uuid, lines: usize) -> Result<Vec<String>> {
        let request = self.deployment(Method::GET, id, "/logs").query(&[("lines", lines)]);
        Lines::read(&self.ask_for(runtime::MAX_LOG, request, SMALL).await?)
    }

    async fn health(&self) -> Health {
        let asked = self.ask(self.request(Method::GET, "/healthz"), HEALTH).await;
        let learnt = match asked {
            Ok(_) => self.learn().await,
            Err(error) => Err(error),
        };
        match learnt {
            Ok(_) => Health { ok: true, message: format!("{} answers", self.url) },
            Err(error) => Health { ok: false, message: format!("{}: {error}", self.url) },
        }
    }

    fn workers(&self) -> (u64, u64) {
        (self.calls.count(), 0)
    }

    async fn shutdown(&self) {}
}

fn unknown(engine: &str) -> Error {
    let text = format!("the deployment was not ensured on the engine {engine}");
    Error::backend(code::ENGINE007, Retry::Now, text).unreached()
}

//! One engine over whatever kind of object a driver keeps in a cluster for each deployment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dashmap::DashMap;
use dispatch_driver::{
    Beside, Call, Capabilities, Deployment, Engine, Error, Health, Observed, Outcome, Phases,
    Reached, Result, Retry,
};
use dispatch_model::code;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::cluster::{Cluster, PODS, Resource};
use super::pod::{self, CONTAINER, DEPLOYMENT_LABEL, Trouble};
use super::settings::Options;
use super::wait::{Waited, until};
use crate::busy;
use crate::client::KEEP_ALIVE;
use crate::making::or_taken_back;
use crate::runtime::{self, Reply};

/// How long a deployment that says it failed may take to come round: images are pulled again, and
/// controllers write what they saw in between.
const GRACE: Duration = Duration::from_secs(3);
/// How long a deployment that is ready may take to be reached.
const REACH: Duration = Duration::from_secs(60);
/// Longest time of a health check.
const HEALTH: Duration = Duration::from_secs(2);
/// What is waited for a pod that is on its way, where nobody says how long.
const SOON: Duration = Duration::from_secs(1);

/// A kind of objects that deployments are kept as.
pub trait Kind: Send + Sync + 'static {
    /// The object whose state is the deployment's; what hangs on it goes with it.
    fn primary(&self) -> Resource;

    /// Everything made for a deployment, in order.
    fn objects(&self, deployment: &Deployment, image: &str) -> Vec<(Resource, Value)>;

    /// How the deployment is, by its primary object.
    fn judge(&self, object: &Value) -> Observed;

    /// Where it is called; the object is one judged ready.
    ///
    /// # Errors
    /// When it does not say.
    fn address(&self, cluster: &Cluster, object: &Value) -> Result<Address>;

    /// Of everything made, what does not go with the primary object.
    fn beside(&self) -> Vec<Resource> {
        Vec::new()
    }
}

/// Where a deployment is called.
pub struct Address {
    pub url: String,
    /// Instead of that of the URL.
    pub host: Option<String>,
    /// Through the API server, with its credentials.
    pub proxied: bool,
}

impl Address {
    /// A URL whose host name is, with an ingress, only told to that.
    pub fn by_host(url: &str, ingress: Option<&str>) -> Self {
        let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        match ingress {
            Some(ingress) => Self { url: format!("{ingress}/"), host, proxied: false },
            None => Self { url: url.to_owned(), host: None, proxied: false },
        }
    }

    /// The same of an object that is ready and has to tell its URL.
    ///
    /// # Errors
    /// When it does not.
    pub fn told(object: &str, url: &Value, ingress: Option<&str>) -> Result<Self> {
        let url = url.as_str().ok_or_else(|| {
            let text = format!("{object} is ready, as it says, but does not tell its URL");
            Error::backend(code::ENGINE006, Retry::After(SOON), text)
        })?;
        Ok(Self::by_host(url, ingress))
    }
}

/// An engine over a cluster.
pub struct Foreign<K> {
    pub name: String,
    pub cluster: Cluster,
    pub kind: K,
    pub options: Options,
    pub http: reqwest::Client,
    languages: Vec<String>,
    targets: DashMap<Uuid, Arc<Target>>,
    /// Calls under way.
    busy: AtomicU64,
}

/// A call under way.
struct Busy<'a>(&'a AtomicU64);

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Target {
    url: reqwest::Url,
    host: Option<HeaderValue>,
    proxied: bool,
}

impl Target {
    /// Whether it is the function's own address: no proxy and no ingress, which others share.
    fn is_direct(&self) -> bool {
        !self.proxied && self.host.is_none()
    }
}

impl<K: Kind> Foreign<K> {
    pub fn new(
        name: String,
        cluster: Cluster,
        kind: K,
        options: Options,
        beside: &Beside,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .http1_only()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(KEEP_ALIVE)
            .build()
            .map_err(|error| Error::ours(code::ENGINE006, error.to_string()))?;
        let languages = beside.languages.iter().map(|l| l.name.clone()).collect();
        let targets = DashMap::new();
        Ok(Self { name, cluster, kind, options, http, languages, targets, busy: AtomicU64::new(0) })
    }

    fn remember(&self, id: Uuid, object: &Value) -> Result<()> {
        let address = self.kind.address(&self.cluster, object)?;
        let unusable = |what: &str| {
            let text = format!("Kubernetes names {what} of {}, which is unusable", pod::name(id));
            Error::backend(code::ENGINE006, Retry::Never, text)
        };
        let url = reqwest::Url::parse(&address.url).map_err(|_| unusable(&address.url))?;
        let host = address.host.map(|host| HeaderValue::from_str(&host)).transpose();
        let host = host.map_err(|_| unusable("a host name"))?;
        self.targets.insert(id, Arc::new(Target { url, host, proxied: address.proxied }));
        Ok(())
    }

    async fn wait(&self, id: Uuid) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + self.options.ready_timeout;
        let (name, primary) = (pod::name(id), self.kind.primary());
        // A failure that stays for the grace period is the end; one that goes away was none.
        let mut failing: Option<Instant> = None;
        let mut pending = String::new();
        let waited = until(&self.cluster, &primary, &name, deadline, |object| {
            let object = object.unwrap_or_default();
            let seen = self.kind.judge(&object);
            match &seen {
                Observed::Failed { .. } => failing = failing.or(Some(Instant::now())),
                Observed::Pending { message } => {
                    (failing, pending) = (None, message.clone());
                }
                _ => failing = None,
            }
            let over = failing.is_some_and(|since| since.elapsed() >= GRACE);
            async move {
                match seen {
                    Observed::Ready { .. } => Some(Ok(object)),
                    Observed::Failed { message } if over => {
                        Some(Err(self.why(&name_of(id), message).await))
                    }
                    Observed::Failed { .. } => None,
                    _ => match self.trouble(&name_of(id)).await? {
                        Trouble::Ended(text) => Some(Err(Error::caller(code::ENGINE003, text))),
                        Trouble::NotStarted(_) => None,
                    },
                }
            }
        });
        match waited.await {
            Waited::Until(end) => end,
            Waited::Over(Some(failure)) => Err(failure.error(self.cluster.server(), "a watch")),
            Waited::Over(None) => {
                let after = self.options.ready_timeout.as_secs();
                let text = format!("{name} is not ready after {after} s");
                let text = if pending.is_empty() { text } else { format!("{text}: {pending}") };
                Err(self.why(&name, text).await)
            }
        }
    }

    /// Until calls get through: a service, an ingress and a proxy each learn of a pod later than
    /// the object that it makes ready.
    async fn reachable(&self, id: Uuid) -> Result<()> {
        let deadline = Instant::now() + REACH;
        let target = self.target(id)?;
        let mut last;
        let mut pause = Duration::from_millis(10);
        loop {
            let request = self.request(Method::GET, &target, "healthz").await?;
            last = match request.timeout(HEALTH).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(mut answer) => {
                    let status = answer.status();
                    let said = runtime::read(&mut answer, runtime::MAX_SMALL).await;
                    let said = said.unwrap_or_default();
                    format!("{status}: {}", runtime::shown(&said))
                }
                Err(error) => runtime::unanswered(error).message,
            };
            if Instant::now() >= deadline {
                let (name, url) = (pod::name(id), &target.url);
                let text = format!("{name} is ready but cannot be reached at {url}: {last}");
                return Err(failed(text));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn target(&self, id: Uuid) -> Result<Arc<Target>> {
        self.targets.get(&id).map(|target| Arc::clone(&target)).ok_or_else(|| {
            let text = format!("{} is not known here", pod::name(id));
            Error::backend(code::ENGINE007, Retry::Now, text).unreached()
        })
    }

    /// A request of what is served there.
    async fn request(&self, method: Method, target: &Target, path: &str) -> Result<RequestBuilder> {
        let mut url = target.url.clone();
        if !path.is_empty() {
            url = url.join(path).map_err(|error| failed(error.to_string()))?;
        }
        let request = match target.proxied {
            true => self.cluster.call(method, url).await?,
            false => self.http.request(method, url),
        };
        Ok(match &target.host {
            Some(host) => request.header(HOST, host.clone()),
            None => request,
        })
    }

    /// What pods say of themselves; nothing where they cannot be asked.
    async fn trouble(&self, name: &str) -> Option<Trouble> {
        let selector = format!("{DEPLOYMENT_LABEL}={name}");
        let list = self.cluster.list(&PODS, &[("labelSelector", &selector)]).await.ok()?;
        pod::trouble(&list.items)
    }

    /// The error of a deployment that cannot serve: the author's, when the container ended by
    /// itself.
    async fn why(&self, name: &str, told: String) -> Error {
        match self.trouble(name).await {
            Some(Trouble::Ended(text)) => Error::caller(code::ENGINE003, text),
            Some(Trouble::NotStarted(text)) => failed(format!("{told}: {text}")),
            // Without the right to see pods, or when they are gone: Knative's own words.
            None if told.contains("Container failed with") => Error::caller(code::ENGINE003, told),
            None => failed(told),
        }
    }

    async fn forget(&self, id: Uuid) -> Result<()> {
        self.targets.remove(&id);
        let name = pod::name(id);
        self.cluster.delete(&self.kind.primary(), &name).await?;
        for resource in self.kind.beside() {
            self.cluster.delete(&resource, &name).await?;
        }
        Ok(())
    }

    fn answered(&self, target: &Target, reply: &Reply, phases: Phases) -> Result<Outcome> {
        match reply.status {
            StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
                runtime::outcome(reply, phases)
            }
            StatusCode::INTERNAL_SERVER_ERROR => runtime::outcome(reply, phases),
            // At the function's own address, only its image can have said so.
            StatusCode::NOT_FOUND if !target.is_direct() => {
                let text = "the cluster has no such deployment any more";
                let retry = Retry::Now;
                Err(Error::backend(code::ENGINE007, retry, text).unreached())
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(refusal(reply)),
            status => {
                let text = format!("{status}: {}", runtime::shown(&reply.body));
                Err(Error::backend(code::ENGINE006, Retry::Now, text).of_deployment())
            }
        }
    }
}

fn name_of(id: Uuid) -> String {
    pod::name(id)
}

fn failed(text: String) -> Error {
    Error::backend(code::ENGINE006, Retry::After(Duration::from_secs(10)), text)
}

fn refusal(reply: &Reply) -> Error {
    let said = runtime::shown(&reply.body);
    let retry = Retry::After(busy::retry_after(&reply.headers).unwrap_or(SOON));
    let text = format!("the cluster has no pod that takes the call: {}: {said}", reply.status);
    match busy::is_unsent(reply.status, &said) {
        true => Error::backend(code::ENGINE005, retry, text).unreached().of_deployment(),
        false => Error::backend(code::ENGINE006, retry, text).of_deployment(),
    }
}

#[async_trait]
impl<K: Kind> Engine for Foreign<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let languages = self.languages.clone();
        Capabilities { languages, pulls_images: true, lasting: true, ..Capabilities::default() }
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let image = deployment.function_image.as_deref().ok_or_else(|| {
            let text = "the function has no image of its own: set images.registry of the server, \
                        so that a cluster can pull it";
            Error::caller(code::ENGINE003, text)
        })?;
        let name = pod::name(deployment.id);
        let there = self.cluster.get(&self.kind.primary(), &name).await?;
        let ours =
            there.is_none_or(|object| matches!(self.kind.judge(&object), Observed::Failed { .. }));
        let made = async {
            for (resource, object) in self.kind.objects(deployment, image) {
                self.cluster.apply(&resource, &object).await?;
            }
            let object = self.wait(deployment.id).await?;
            self.remember(deployment.id, &object)?;
            self.reachable(deployment.id).await
        };
        or_taken_back(made.await, ours, self.forget(deployment.id)).await
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        let name = pod::name(deployment.id);
        match self.cluster.get(&self.kind.primary(), &name).await? {
            Some(object) => match self.kind.judge(&object) {
                Observed::Pending { .. } => {
                    let object = self.wait(deployment.id).await?;
                    self.remember(deployment.id, &object)
                }
                _ => self.remember(deployment.id, &object),
            },
            None => self.build(deployment).await,
        }
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        let object = self.cluster.get(&self.kind.primary(), &pod::name(id)).await?;
        let Some(object) = object else { return Ok(Observed::Absent) };
        let seen = self.kind.judge(&object);
        if let Observed::Pending { message } = &seen
            && let Some(trouble) = self.trouble(&pod::name(id)).await
        {
            let (Trouble::Ended(text) | Trouble::NotStarted(text)) = trouble;
            let message = if message.is_empty() { text } else { format!("{message}: {text}") };
            return Ok(Observed::Pending { message });
        }
        Ok(seen)
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.forget(id).await
    }

    async fn invoke(&self, id: Uuid, mut call: Call) -> Result<Outcome> {
        let target = self.target(id)?;
        let _busy = Busy::new(&self.busy);
        let (begun, ends) = (Instant::now(), call.deadline);
        let request = self.request(Method::POST, &target, "");
        let request = tokio::time::timeout_at(ends.into(), request).await.map_err(|_| {
            failed("no credentials came until the deadline of the call".to_owned()).unreached()
        })??;
        let json = HeaderValue::from_static("application/json");
        let request = request.header(CONTENT_TYPE, json).body(runtime::body(&call));
        call.deadline = ends + runtime::GRACE;
        match runtime::send(request, &call).await {
            Ok(reply) => self.answered(&target, &reply, runtime::handled(begun)),
            // Nobody but the function's pods is there, or has begun to answer.
            Err(error) if target.is_direct() || error.reached == Reached::Maybe => {
                runtime::unheard(error.of_deployment(), begun, ends)
            }
            Err(error) => runtime::unheard(error, begun, ends),
        }
    }

    async fn logs(&self, id: Uuid, lines: usize) -> Result<Vec<String>> {
        let selector = format!("{DEPLOYMENT_LABEL}={}", pod::name(id));
        let failed = |f: super::failure::Failure| f.error(self.cluster.server(), "pods' logs");
        let pods =
            self.cluster.list(&PODS, &[("labelSelector", &selector)]).await.map_err(failed)?;
        let mut all = Vec::new();
        for pod in &pods.items {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            // A pod that has not begun has no log, and is no reason to withhold others'.
            if let Ok(text) = self.cluster.log(name, CONTAINER, lines).await {
                all.extend(text.lines().map(str::to_owned));
            }
        }
        let first = all.len().saturating_sub(lines);
        Ok(all.split_off(first))
    }

    async fn health(&self) -> Health {
        let resource = self.kind.primary();
        let asked = self.cluster.list(&resource, &[("limit", "1")]);
        let server = self.cluster.server();
        match tokio::time::timeout(HEALTH, asked).await {
            Ok(Ok(_)) => Health { ok: true, message: format!("Kubernetes at {server} answers") },
            Ok(Err(failure)) if failure.is(StatusCode::NOT_FOUND) => {
                let Resource { version, kind, .. } = resource;
                let message = format!("Kubernetes at {server} has no {kind} of {version}");
                Health { ok: false, message }
            }
            Ok(Err(failure)) => {
                let asked = format!("a list of {}", resource.plural);
                Health { ok: false, message: failure.error(server, &asked).message }
            }
            Err(_) => {
                let seconds = HEALTH.as_secs();
                let message = format!("Kubernetes at {server} does not answer within {seconds} s");
                Health { ok: false, message }
            }
        }
    }

    fn workers(&self) -> (u64, u64) {
        // How many pods there are is the cluster's own; `observe` tells.
        (self.busy.load(Ordering::Relaxed), 0)
    }

    async fn shutdown(&self) {}
}

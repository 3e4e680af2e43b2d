//! The API of a cluster, as far as drivers need it: objects are read, applied by the server, and
//! removed.

use std::future::Future;
use std::time::Duration;

use dispatch_driver::{Error, Result};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use super::access::Access;
use super::failure::Failure;
use crate::runtime;

/// Who owns the fields that Dispatch sets.
const FIELD_MANAGER: &str = "dispatch";
/// Longest time of a request that is answered at once.
const ANSWER: Duration = Duration::from_secs(15);
/// How often a request that nobody answers is sent, and how long is waited between.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);
/// Largest answer of the API that is read, in bytes: a list of pods with all they say.
const MAX_ANSWER: usize = 16 << 20;
/// Longest time of one watch; the server ends it then, and a new one is begun.
pub const WATCH: Duration = Duration::from_secs(240);

/// A kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// `v1` or `GROUP/VERSION`.
    pub version: &'static str,
    pub kind: &'static str,
    /// As paths spell it.
    pub plural: &'static str,
}

pub const PODS: Resource = Resource { version: "v1", kind: "Pod", plural: "pods" };
pub const SERVICES: Resource = Resource { version: "v1", kind: "Service", plural: "services" };

/// One namespace of one cluster.
pub struct Cluster {
    access: Access,
    pub namespace: String,
}

/// What a list brought.
pub struct List {
    pub items: Vec<Value>,
    /// From where a watch goes on.
    pub version: String,
}

impl Cluster {
    pub fn new(access: Access, namespace: Option<&str>) -> Self {
        let own = access.namespace.as_deref().filter(|name| !name.is_empty());
        let namespace = namespace.or(own).unwrap_or("default").trim().to_owned();
        Self { access, namespace }
    }

    pub fn server(&self) -> &str {
        &self.access.server
    }

    fn url(&self, resource: &Resource) -> String {
        self.url_in(&self.namespace, resource)
    }

    fn url_in(&self, namespace: &str, resource: &Resource) -> String {
        let root = if resource.version.contains('/') { "apis" } else { "api" };
        let (server, version, plural) = (self.server(), resource.version, resource.plural);
        format!("{server}/{root}/{version}/namespaces/{namespace}/{plural}")
    }

    /// Where the API server passes requests on to a service's port.
    pub fn proxy_url(&self, service: &str, port: &str) -> String {
        format!("{}/{service}:{port}/proxy/", self.url(&SERVICES))
    }

    /// A request through the API server, with its credentials.
    ///
    /// # Errors
    /// When these cannot be had.
    pub async fn call(&self, method: Method, url: Url) -> Result<RequestBuilder> {
        let request = self.access.caller.request(method, url);
        self.authorized(request).await.map_err(|failure| failure.error(self.server(), "a call"))
    }

    async fn authorized(
        &self,
        request: RequestBuilder,
    ) -> std::result::Result<RequestBuilder, Failure> {
        let header = self.access.authorization().await.map_err(Failure::said)?;
        Ok(signed(request, header.as_ref()))
    }

    async fn send(&self, request: RequestBuilder) -> std::result::Result<Response, Failure> {
        let json = HeaderValue::from_static("application/json");
        let request = request.header(ACCEPT, json);
        let header = self.access.authorization().await.map_err(Failure::said)?;
        let again = request.try_clone();
        let request = signed(request, header.as_ref());
        let mut response = request.send().await.map_err(Failure::unanswered)?;
        if response.status() == StatusCode::UNAUTHORIZED
            && header.is_some_and(|header| self.access.refused(&header))
            && let Some(again) = again
        {
            let again = self.authorized(again).await?;
            response = again.send().await.map_err(Failure::unanswered)?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = runtime::read(&mut response, runtime::MAX_SMALL).await.unwrap_or_default();
        Err(Failure::answered(status, &headers, &body))
    }

    async fn json(&self, request: RequestBuilder) -> std::result::Result<Value, Failure> {
        let mut answer = self.send(request.timeout(ANSWER)).await?;
        let body = runtime::read(&mut answer, MAX_ANSWER).await;
        let body = body.map_err(|error| Failure::said(error.message))?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::said(format!("its answer is not JSON: {error}")))
    }

    /// An object; `None` where there is none of that name.
    ///
    /// # Errors
    /// Also when the cluster does not know its kind.
    pub async fn get(&self, resource: &Resource, name: &str) -> Result<Option<Value>> {
        let url = format!("{}/{name}", self.url(resource));
        let got = self.patiently(|| self.json(self.access.client.get(&url))).await;
        match got {
            Ok(object) => Ok(Some(object)),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => match known(&failure) {
                true => Ok(None),
                false => Err(self.unknown(resource)),
            },
            Err(failure) => Err(failure.error(self.server(), &format!("GET of {name}"))),
        }
    }

    /// An object of any namespace.
    pub async fn read(
        &self,
        namespace: &str,
        resource: &Resource,
        name: &str,
    ) -> std::result::Result<Value, Failure> {
        let url = format!("{}/{name}", self.url_in(namespace, resource));
        self.patiently(|| self.json(self.access.client.get(&url))).await
    }

    /// Objects of a selector, at once.
    pub async fn list(
        &self,
        resource: &Resource,
        query: &[(&str, &str)],
    ) -> std::result::Result<List, Failure> {
        let request = self.access.client.get(self.url(resource)).query(query);
        let mut list = self.json(request).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let items = list["items"].take();
        let items = if let Value::Array(items) = items { items } else { Vec::new() };
        Ok(List { items, version })
    }

    /// What happens to objects of a selector from `version` on: one JSON text a line.
    pub async fn watch(
        &self,
        resource: &Resource,
        query: &[(&str, &str)],
        version: &str,
    ) -> std::result::Result<Response, Failure> {
        let seconds = WATCH.as_secs().to_string();
        let more = [("watch", "1"), ("resourceVersion", version), ("timeoutSeconds", &seconds)];
        let request = self.access.client.get(self.url(resource)).query(query).query(&more);
        self.send(request).await
    }

    /// Makes an object what is written here; fields of others stay theirs.
    pub async fn apply(&self, resource: &Resource, object: &Value) -> Result<Value> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let url = format!("{}/{name}", self.url(resource));
        let query = [("fieldManager", FIELD_MANAGER), ("force", "true")];
        let body = object.to_string();
        let applied = self.patiently(|| {
            let request = self.access.client.request(Method::PATCH, &url).query(&query);
            self.json(
                request.header(CONTENT_TYPE, "application/apply-patch+yaml").body(body.clone()),
            )
        });
        applied.await.map_err(|failure| {
            match failure.is(StatusCode::NOT_FOUND) && !known(&failure) {
                true => self.unknown(resource),
                false => failure.error(self.server(), &format!("{} {name}", resource.kind)),
            }
        })
    }

    /// Removes an object and what hangs on it; one that is not there is removed.
    pub async fn delete(&self, resource: &Resource, name: &str) -> Result<()> {
        let url = format!("{}/{name}", self.url(resource));
        let query = [("propagationPolicy", "Background")];
        let deleted = self.patiently(|| self.json(self.access.client.delete(&url).query(&query)));
        match deleted.await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(()),
            Err(failure) => Err(failure.error(self.server(), &format!("DELETE of {name}"))),
        }
    }

    /// The last lines a container printed.
    pub async fn log(
        &self,
        pod: &str,
        container: &str,
        lines: usize,
    ) -> std::result::Result<String, Failure> {
        let lines = lines.to_string();
        let url = format!("{}/{pod}/log", self.url(&PODS));
        // Of more than that the API itself cuts the newest off.
        let most = runtime::MAX_LOG.to_string();
        let query = [("container", container), ("tailLines", &lines), ("limitBytes", &most)];
        let request = self.access.client.get(url).query(&query).timeout(ANSWER);
        let request = self.authorized(request).await?;
        let mut answer = request.send().await.map_err(Failure::unanswered)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = runtime::read(&mut answer, runtime::MAX_LOG).await;
        let body = body.map_err(|error| Failure::said(error.message))?;
        match status.is_success() {
            true => Ok(String::from_utf8_lossy(&body).into_owned()),
            false => Err(Failure::answered(status, &headers, &body)),
        }
    }

    /// Sends again what a server that restarts, is busy or had a conflict did not do. Everything
    /// drivers send bears that.
    async fn patiently<F, T>(
        &self,
        mut request: impl FnMut() -> F,
    ) -> std::result::Result<T, Failure>
    where
        F: Future<Output = std::result::Result<T, Failure>>,
    {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match request().await {
                Err(failure) if failure.passes() => {
                    let asked = failure.retry_after.unwrap_or(pause).min(Duration::from_secs(5));
                    tokio::time::sleep(asked).await;
                    pause *= 2;
                }
                end => return end,
            }
        }
        request().await
    }

    fn unknown(&self, resource: &Resource) -> Error {
        let Resource { version, kind, .. } = resource;
        let text = format!(
            "Kubernetes at {} has no {kind} of {version}: install what brings it, or take another \
             type of engine",
            self.server()
        );
        let retry = dispatch_driver::Retry::After(Duration::from_secs(30));
        Error::backend(dispatch_model::code::ENGINE006, retry, text).unreached()
    }
}

fn signed(request: RequestBuilder, header: Option<&HeaderValue>) -> RequestBuilder {
    match header {
        Some(header) => request.header(AUTHORIZATION, header),
        None => request,
    }
}

/// Whether a 404 is about one object rather than its whole kind.
pub fn known(failure: &Failure) -> bool {
    failure.reason == "NotFound" && !failure.message.contains("the requested resource")
}

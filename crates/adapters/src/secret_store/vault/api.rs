//! Requests to a Vault of several nodes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dispatch_driver::secret_store::{failed, refused};
use dispatch_driver::{Error, Result};
use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use crate::runtime;

/// Largest answer that is read, in bytes: a secret of the largest size, every byte of it escaped.
const MAX_ANSWER: usize = 8 << 20;
/// Most nodes one request goes to, redirects among them.
const MAX_TRIES: usize = 6;

/// What a Vault answered.
pub struct Answer {
    pub status: StatusCode,
    /// Null when it is no JSON.
    pub body: Value,
}

/// The nodes of one Vault.
pub struct Api {
    client: reqwest::Client,
    nodes: Vec<Url>,
    namespace: Option<HeaderValue>,
    limit: Duration,
    /// The node that answered last.
    active: AtomicUsize,
}

impl Api {
    pub fn new(
        client: reqwest::Client,
        addresses: &[String],
        namespace: &str,
        limit: Duration,
    ) -> Result<Self> {
        let nodes = addresses.iter().map(|text| node(text)).collect::<Result<Vec<_>>>()?;
        if nodes.is_empty() {
            return Err(refused("addresses is empty: name the URL of the Vault"));
        }
        let namespace = match namespace {
            "" => None,
            text => Some(HeaderValue::from_str(text).map_err(|_| {
                refused(format!("namespace {text:?} has characters no header can have"))
            })?),
        };
        Ok(Self { client, nodes, namespace, limit, active: AtomicUsize::new(0) })
    }

    /// Sends a request to the node that answered last, and to the others in turn while the one
    /// asked is not there, is sealed or is a standby.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut at = self.active.load(Ordering::Relaxed);
        let mut last = failed("the Vault does not answer");
        for _ in 0..self.nodes.len().clamp(2, MAX_TRIES) {
            let node = at % self.nodes.len();
            let reply = self.ask(node, &method, path, token, body).await;
            at = node + 1;
            match reply {
                Err(error) => last = error,
                Ok(reply) if reply.status.is_redirection() => {
                    match self.redirected(reply.headers.get(LOCATION)) {
                        Some(node) => at = node,
                        None => {
                            last = failed(
                                "the Vault sends on to a node that is not among its addresses",
                            );
                        }
                    }
                }
                Ok(reply) => {
                    let answer = Answer {
                        status: reply.status,
                        body: serde_json::from_slice(&reply.body).unwrap_or_default(),
                    };
                    if !elsewhere(answer.status) {
                        self.active.store(node, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    last = answer.failure("a request");
                }
            }
        }
        Err(last)
    }

    async fn ask(
        &self,
        node: usize,
        method: &Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<runtime::Reply> {
        let url = self.nodes[node].join(&format!("v1/{path}"));
        let url = url.map_err(|_| refused("its path cannot be in a URL"))?;
        let mut request = self.client.request(method.clone(), url);
        // By which a Vault knows that no browser was led to send this.
        request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = token {
            let header = HeaderValue::from_str(token);
            let mut header = header.map_err(|_| failed("the token cannot be in a header"))?;
            header.set_sensitive(true);
            request = request.header("X-Vault-Token", header);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        runtime::ask(request, self.limit, MAX_ANSWER).await.map_err(|error| {
            tracing::warn!(node = %self.nodes[node], error = %error.message, "a Vault is away");
            failed("the Vault does not answer")
        })
    }

    /// The node a standby sends on to. The token goes to nodes the operator named, and nowhere
    /// else.
    fn redirected(&self, location: Option<&HeaderValue>) -> Option<usize> {
        let url = Url::parse(location?.to_str().ok()?).ok()?;
        self.nodes.iter().position(|node| node.origin() == url.origin())
    }
}

impl Answer {
    /// For what was asked and not given. The Vault's own words are the operator's alone.
    pub fn failure(&self, asked: &str) -> Error {
        let words = self.body["errors"].to_string();
        let words = runtime::shown(words.as_bytes());
        tracing::warn!(status = self.status.as_u16(), %words, "a Vault failed at {asked}");
        let sealed =
            if self.status == StatusCode::SERVICE_UNAVAILABLE { ": it is sealed" } else { "" };
        failed(format!("the Vault answered {} to {asked}{sealed}", self.status.as_u16()))
    }
}

/// Whether another node may do what this one does not: a standby, one that is sealed or was not
/// initialized, one that is behind.
fn elsewhere(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 412 | 429 | 472 | 473)
}

fn node(text: &str) -> Result<Url> {
    let wrong = || refused(format!("address {text:?} must be http://HOST or https://HOST"));
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(wrong());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

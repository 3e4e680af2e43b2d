//! The API as the controller speaks it: lists, watches and writes with resource versions.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// A kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// `v1` or `GROUP/VERSION`.
    pub version: &'static str,
    pub name: &'static str,
    /// As paths spell it.
    pub plural: &'static str,
}

/// An answer that is no success, or none.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: Option<StatusCode>,
    pub message: String,
}

impl Refusal {
    pub fn is(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.status, self.message)
    }
}

/// Somebody's access to the server.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    server: String,
    token: String,
}

type Answer<T> = Result<T, Refusal>;

/// Name and namespace of an object.
pub fn place(object: &Value) -> (&str, &str) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

impl Api {
    pub fn new(server: &str, authority: &[u8], token: &str) -> Self {
        let authority = reqwest::Certificate::from_pem(authority).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
        let client = client.build().expect("a client");
        Self { client, server: server.to_owned(), token: token.to_owned() }
    }

    fn url(&self, kind: Kind, namespace: &str, name: &str) -> String {
        let root = if kind.version.contains('/') { "apis" } else { "api" };
        let mut url = format!("{}/{root}/{}", self.server, kind.version);
        if !namespace.is_empty() {
            url.push_str(&format!("/namespaces/{namespace}"));
        }
        url.push('/');
        url.push_str(kind.plural);
        if !name.is_empty() {
            url.push('/');
            url.push_str(name);
        }
        url
    }

    async fn send(&self, request: RequestBuilder) -> Answer<Response> {
        let unanswered = |e: reqwest::Error| Refusal { status: None, message: e.to_string() };
        let response = request.bearer_auth(&self.token).send().await.map_err(unanswered)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let message = response.text().await.unwrap_or_default();
        Err(Refusal { status: Some(status), message })
    }

    async fn json(&self, request: RequestBuilder) -> Answer<Value> {
        let answer = self.send(request.timeout(Duration::from_secs(15))).await?;
        answer.json().await.map_err(|e| Refusal { status: None, message: e.to_string() })
    }

    /// Any path, as it is.
    pub async fn read(&self, path: &str) -> Answer<Value> {
        self.json(self.client.get(format!("{}{path}", self.server))).await
    }

    pub async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Answer<Value> {
        self.json(self.client.get(self.url(kind, namespace, name))).await
    }

    /// In all namespaces.
    pub async fn list(&self, kind: Kind) -> Answer<Value> {
        self.json(self.client.get(self.url(kind, "", ""))).await
    }

    /// One JSON text a line, from `version` on.
    pub async fn watch(&self, kind: Kind, version: &str) -> Answer<Response> {
        let query = [("watch", "1"), ("resourceVersion", version), ("timeoutSeconds", "600")];
        self.send(self.client.get(self.url(kind, "", "")).query(&query)).await
    }

    pub async fn create(&self, kind: Kind, object: &Value) -> Answer<Value> {
        let (namespace, _) = place(object);
        let request = self.client.post(self.url(kind, namespace, ""));
        self.json(request.header("content-type", "application/json").body(object.to_string())).await
    }

    /// As it was read, with its resource version: what changed meanwhile is a conflict.
    pub async fn replace(&self, kind: Kind, object: &Value) -> Answer<Value> {
        self.put(kind, object, "").await
    }

    pub async fn replace_status(&self, kind: Kind, object: &Value) -> Answer<Value> {
        self.put(kind, object, "/status").await
    }

    async fn put(&self, kind: Kind, object: &Value, part: &str) -> Answer<Value> {
        let (namespace, name) = place(object);
        let url = format!("{}{part}", self.url(kind, namespace, name));
        let request = self.client.put(url).header("content-type", "application/json");
        self.json(request.body(object.to_string())).await
    }

    /// A merge patch.
    pub async fn merge(&self, kind: Kind, of: &Value, patch: &Value) -> Answer<Value> {
        let (namespace, name) = place(of);
        let request = self.client.request(Method::PATCH, self.url(kind, namespace, name));
        let request = request.header("content-type", "application/merge-patch+json");
        self.json(request.body(patch.to_string())).await
    }

    /// Server-side apply by another manager than the one under test.
    pub async fn apply(&self, kind: Kind, object: &Value, manager: &str) -> Answer<Value> {
        let (namespace, name) = place(object);
        let request = self.client.request(Method::PATCH, self.url(kind, namespace, name));
        let request = request.query(&[("fieldManager", manager), ("force", "true")]);
        let request = request.header("content-type", "application/apply-patch+yaml");
        self.json(request.body(object.to_string())).await
    }

    /// Removes an object; `now`: without the time it may take to end.
    pub async fn delete(&self, kind: Kind, object: &Value, now: bool) -> Answer<Value> {
        let (namespace, name) = place(object);
        let mut request = self.client.delete(self.url(kind, namespace, name));
        if now {
            request = request.query(&[("gracePeriodSeconds", "0")]);
        }
        self.json(request).await
    }
}

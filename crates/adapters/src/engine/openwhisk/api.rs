//! OpenWhisk's REST API, as far as it is needed here.

use std::time::Duration;

use bytes::Bytes;
use dispatch_driver::{Call, Config, Error, Result, Retry, engine_type};
use dispatch_model::code;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::action;
use crate::busy;
use crate::runtime::{self, Reply};

/// Longest time of a request that calls nothing.
const PATIENCE: Duration = Duration::from_secs(30);
const HEALTH: Duration = Duration::from_secs(2);
/// Time after which a throttled or overloaded OpenWhisk is asked again, when it does not say.
const PAUSE: Duration = Duration::from_secs(1);

pub struct Api {
    http: reqwest::Client,
    /// `URL/api/v1`.
    base: String,
    namespace: String,
    authorization: HeaderValue,
}

impl Api {
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        let connect = config.duration("connectTimeout").unwrap_or(PAUSE);
        let http = crate::client::client(connect, config.text("caFile"))?;
        let key = config.text("apiKey").unwrap_or_default();
        let (user, password) = key.split_once(':').ok_or_else(|| {
            engine_type::refused("secrets.apiKey has no colon; write UUID:KEY as wsk shows it")
        })?;
        // With the client's own words for it, which know how it is written.
        let request = http.get("http://localhost").basic_auth(user, Some(password)).build();
        let request = request.map_err(|error| engine_type::refused(error.to_string()))?;
        let authorization = request.headers()[AUTHORIZATION].clone();
        let base = format!("{}/api/v1", config.url("url").unwrap_or_default());
        let namespace = config.text("namespace").unwrap_or("_").to_owned();
        Ok(Self { http, base, namespace, authorization })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/namespaces/{}{path}", self.base, self.namespace);
        self.http.request(method, url).header(AUTHORIZATION, self.authorization.clone())
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Reply> {
        self.ask_for(runtime::MAX_SMALL, request).await
    }

    /// The same with a body of `most` bytes.
    async fn ask_for(&self, most: usize, request: RequestBuilder) -> Result<Reply> {
        runtime::ask(request, PATIENCE, most).await
    }

    /// One sentence when all is well.
    ///
    /// # Errors
    /// One when it is not.
    pub async fn health(&self) -> Result<String> {
        let url = format!("{}/namespaces", self.base);
        let request = self.http.get(url).header(AUTHORIZATION, self.authorization.clone());
        let answer = request.timeout(HEALTH).send().await.map_err(runtime::unanswered)?;
        match answer.status() {
            StatusCode::OK => Ok(format!("OpenWhisk answers at {}", self.base)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let text = "OpenWhisk refuses the key: see the secret's apiKey";
                Err(Error::backend(code::ENGINE006, Retry::After(PAUSE), text))
            }
            status => {
                let text = format!("OpenWhisk's list of namespaces is answered with {status}");
                Err(Error::backend(code::ENGINE006, Retry::After(PAUSE), text))
            }
        }
    }

    /// Makes the action, or makes it anew.
    ///
    /// # Errors
    /// `Fault::Caller` when OpenWhisk does not take it so: limits, the image's name.
    pub async fn put(&self, id: Uuid, action: &Value) -> Result<()> {
        let path = format!("/actions/{}?overwrite=true", action::name(id));
        let reply = self.ask(self.request(Method::PUT, &path).json(action)).await?;
        match reply.status {
            status if status.is_success() => Ok(()),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
                let text = format!("OpenWhisk does not take the action: {}", said(&reply));
                Err(Error::caller(code::ENGINE003, text))
            }
            _ => Err(refused(&reply, "the action cannot be made").unreached()),
        }
    }

    pub async fn has(&self, id: Uuid) -> Result<bool> {
        let path = format!("/actions/{}?code=false", action::name(id));
        let reply = self.ask(self.request(Method::GET, &path)).await?;
        match reply.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(&reply, "the action cannot be read")),
        }
    }

    pub async fn delete(&self, id: Uuid) -> Result<()> {
        let path = format!("/actions/{}", action::name(id));
        let reply = self.ask(self.request(Method::DELETE, &path)).await?;
        match reply.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused(&reply, "the action cannot be deleted")),
        }
    }

    /// Calls the action and waits until it has ended, or OpenWhisk waits no longer.
    pub async fn invoke(&self, id: Uuid, call: &Call, body: reqwest::Body) -> Result<Reply> {
        let path = format!("/actions/{}?blocking=true&result=false", action::name(id));
        let request = self.request(Method::POST, &path).body(body);
        let json = HeaderValue::from_static("application/json");
        runtime::send(request.header(CONTENT_TYPE, json), call).await
    }

    /// The record of a call; `None` until it has ended.
    pub async fn activation(&self, activation: &str) -> Result<Option<Bytes>> {
        let request = self.request(Method::GET, &format!("/activations/{activation}"));
        // It has the answer of a call in it.
        let reply = self.ask_for(runtime::MAX_ANSWER, request).await?;
        match reply.status {
            StatusCode::OK => Ok(Some(reply.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(&reply, "the activation cannot be read")),
        }
    }

    /// What a call printed.
    pub async fn logs(&self, activation: &str) -> Result<Vec<String>> {
        let path = format!("/activations/{activation}/logs");
        let reply = self.ask_for(runtime::MAX_LOG, self.request(Method::GET, &path)).await?;
        match serde_json::from_slice::<Printed>(&reply.body) {
            Ok(printed) if reply.status == StatusCode::OK => Ok(printed.logs),
            _ => Err(refused(&reply, "the activation's logs cannot be read")),
        }
    }

    /// What the last calls of an action printed, the newest call first.
    pub async fn recent(&self, id: Uuid) -> Result<Vec<Printed>> {
        let path = format!("/activations?name={}&limit=10&docs=true", action::name(id));
        let reply = self.ask_for(runtime::MAX_ANSWER, self.request(Method::GET, &path)).await?;
        match serde_json::from_slice(&reply.body) {
            Ok(recent) if reply.status == StatusCode::OK => Ok(recent),
            _ => Err(refused(&reply, "the action's activations cannot be read")),
        }
    }
}

#[derive(Deserialize)]
pub struct Printed {
    #[serde(default)]
    pub logs: Vec<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// OpenWhisk's words for what it does not do.
pub fn said(reply: &Reply) -> String {
    let refusal = serde_json::from_slice::<Refusal>(&reply.body);
    refusal.map(|refusal| refusal.error).unwrap_or_else(|_| runtime::shown(&reply.body))
}

/// An answer that is none.
pub fn refused(reply: &Reply, what: &str) -> Error {
    let (status, said) = (reply.status, said(reply));
    match status {
        _ if busy::is_unsent(status, &said) => {
            let text = format!("OpenWhisk has no room: {said} ({status})");
            let retry = Retry::After(busy::retry_after(&reply.headers).unwrap_or(PAUSE));
            Error::backend(code::ENGINE005, retry, text).unreached()
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let text = format!("OpenWhisk refuses the key: {said} ({status})");
            Error::backend(code::ENGINE006, Retry::After(PAUSE), text).unreached()
        }
        status => {
            let text = format!("{what}: {said} ({status})");
            let retry = Retry::After(busy::retry_after(&reply.headers).unwrap_or(PAUSE));
            Error::backend(code::ENGINE006, retry, text)
        }
    }
}

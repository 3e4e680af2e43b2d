//! Lambda's REST API: requests are signed, and those that only manage are repeated when Lambda
//! says that it has too many of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::credentials::Source;
use super::signature::{Request, Scope, authorization, encode, sha256, stamp};
use crate::busy::retry_after;
use crate::runtime::{MAX_SMALL, Reply, read, shown, unanswered};

const SERVICE: &str = "lambda";
/// Longest time of one managing request; an archive is uploaded with one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Times such a request is sent, at most: to a Lambda that is busy, and to one that is not there.
const ATTEMPTS: u32 = 8;
const ATTEMPTS_UNANSWERED: u32 = 3;
/// Longest wait before the second of them; each further one may be twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

pub struct Client {
    http: reqwest::Client,
    endpoint: Url,
    /// As the `Host` header has it.
    host: String,
    region: String,
    source: Arc<Source>,
}

/// One managing request.
pub struct Control<'a> {
    pub method: Method,
    pub path: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub body: Option<Value>,
}

/// What Lambda answered instead of doing what it was asked.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: StatusCode,
    /// As its documentation names it: `ResourceNotFoundException`.
    pub kind: String,
    pub message: String,
    pub after: Option<Duration>,
}

/// Why a managing request did not do what it should.
#[derive(Debug)]
pub enum Trouble {
    Refused(Refusal),
    /// It was not sent, or not answered.
    Unanswered(Error),
}

impl Client {
    pub fn new(http: reqwest::Client, endpoint: Url, region: &str, source: Arc<Source>) -> Self {
        let mut host = endpoint.host_str().unwrap_or_default().to_owned();
        // Only one that its scheme does not imply.
        if let Some(port) = endpoint.port() {
            host = format!("{host}:{port}");
        }
        Self { http, endpoint, host, region: region.to_owned(), source }
    }

    /// A signed request without its body, whose digest is given.
    pub async fn signed(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        more: &[(&str, &str)],
        body_sha256: &str,
    ) -> Result<RequestBuilder> {
        let held = self.source.current().await?;
        let stamp = stamp(Utc::now());
        let path = format!("{}{path}", self.endpoint.path().trim_end_matches('/'));
        let mut headers = vec![("host", self.host.as_str()), ("x-amz-date", stamp.as_str())];
        headers.extend(more);
        if let Some(token) = &held.credentials.session_token {
            headers.push(("x-amz-security-token", token));
        }
        let request =
            Request { method: method.as_str(), path: &path, query, headers: &headers, body_sha256 };
        let scope = Scope { region: &self.region, service: SERVICE };
        let authorization = authorization(&request, &held.credentials, scope, &stamp);
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        if !query.is_empty() {
            let pair = |(n, v): &(&str, &str)| format!("{}={}", encode(n, false), encode(v, false));
            url.set_query(Some(&query.iter().map(pair).collect::<Vec<_>>().join("&")));
        }
        let mut request = self.http.request(method, url).header("authorization", authorization);
        // The client itself writes the host.
        for (name, value) in headers.into_iter().skip(1) {
            request = request.header(name, value);
        }
        Ok(request)
    }

    /// Sends a managing request, and again while Lambda says that it is too busy.
    pub async fn control(&self, control: &Control<'_>) -> std::result::Result<Value, Trouble> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let trouble = match self.control_once(control, PATIENCE).await {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            let Some(after) = trouble.again(attempt) else { return Err(trouble) };
            // Full jitter: those that were refused together do not come back together.
            let random = wait.mul_f64(rand::random::<f64>());
            tokio::time::sleep(after.max(random)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        unreachable!("the loop ends with its last attempt")
    }

    pub async fn control_once(
        &self,
        control: &Control<'_>,
        patience: Duration,
    ) -> std::result::Result<Value, Trouble> {
        let body = control.body.as_ref().map(Value::to_string).unwrap_or_default();
        let body = Bytes::from(body);
        let digest = sha256(std::slice::from_ref(&body));
        let method = control.method.clone();
        let signed = self.signed(method, control.path, control.query, &[], &digest).await;
        let mut request = signed.map_err(Trouble::Unanswered)?.timeout(patience);
        if control.body.is_some() {
            request = request.header("content-type", "application/json").body(body);
        }
        let unanswered = |error| Trouble::Unanswered(unanswered(error));
        let mut response = request.send().await.map_err(unanswered)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(&mut response, MAX_SMALL).await.map_err(Trouble::Unanswered)?;
        let reply = Reply { status, headers, body };
        if !status.is_success() {
            return Err(Trouble::Refused(Refusal::of(&reply)));
        }
        Ok(serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }
}

impl Refusal {
    pub fn of(reply: &Reply) -> Self {
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let header = |name: &str| reply.headers.get(name)?.to_str().ok().map(str::to_owned);
        let kind = header("x-amzn-errortype").or_else(|| text("__type")).unwrap_or_default();
        // `ResourceNotFoundException:http://internal…`, or a name space before `#`.
        let kind = kind.split(':').next().unwrap_or_default();
        let kind = kind.rsplit('#').next().unwrap_or_default().to_owned();
        let message = text("Message").or_else(|| text("message"));
        let message = message.unwrap_or_else(|| shown(&reply.body));
        Self { status: reply.status, kind, message, after: retry_after(&reply.headers) }
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    pub fn is_busy(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS || self.is("ThrottlingException")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind.as_str() {
            "" => write!(out, "Lambda answered {}: {}", self.status, self.message),
            kind => write!(out, "Lambda answered {kind}: {}", self.message),
        }
    }
}

impl Trouble {
    pub fn is(&self, kind: &str) -> bool {
        matches!(self, Trouble::Refused(refusal) if refusal.is(kind))
    }

    /// The shortest wait before the next attempt, where one can help.
    fn again(&self, attempt: u32) -> Option<Duration> {
        match self {
            Trouble::Refused(refusal) => {
                let busy = refusal.is_busy() || refusal.status.is_server_error();
                (busy && attempt < ATTEMPTS).then(|| refusal.after.unwrap_or_default())
            }
            Trouble::Unanswered(error) => {
                let again = error.retry == Retry::Now && attempt < ATTEMPTS_UNANSWERED;
                again.then_some(Duration::ZERO)
            }
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        let refusal = match trouble {
            Trouble::Unanswered(error) => return error,
            Trouble::Refused(refusal) => refusal,
        };
        let text = refusal.to_string();
        if refusal.is_busy() || refusal.status.is_server_error() {
            let after = refusal.after.unwrap_or(Duration::from_secs(1));
            return Error::backend(code::ENGINE006, Retry::After(after), text);
        }
        Error::backend(code::ENGINE006, Retry::Never, text)
    }
}

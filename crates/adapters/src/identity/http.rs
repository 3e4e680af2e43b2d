//! The HTTP client of an identity provider: guarded, and bounded in bytes and time.

use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::identity::refused;
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::browser::words;
use crate::client::{KEEP_ALIVE, certificates};
use crate::guard::{Guard, refusal};

/// Largest answer, in bytes: keys and documents of providers are far smaller.
const ANSWER_BYTES: usize = 1024 * 1024;
/// Longest wait that a provider may ask for.
const RETRY_MOST: Duration = Duration::from_secs(3_600);
const RETRY: Duration = Duration::from_secs(1);

/// A client for what one address, written by the operator, leads to.
pub struct Http {
    pub client: reqwest::Client,
    guard: Guard,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Http {
    /// # Errors
    /// When `caFile` cannot be used, or the address may not be called.
    pub fn new(written: &str, ca_file: Option<&str>, timeout: Duration) -> Result<Self> {
        let url = Url::parse(written).map_err(|error| refused(format!("{written:?}: {error}")))?;
        let guard = Guard::of(&url);
        guard.url(written)?;
        let mut builder = reqwest::Client::builder()
            // A proxy would look names up itself, where nobody guards.
            .no_proxy()
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout)
            .timeout(timeout)
            .pool_idle_timeout(KEEP_ALIVE)
            .user_agent(concat!("dispatch/", env!("CARGO_PKG_VERSION")));
        for certificate in certificates(ca_file).map_err(refused)? {
            builder = builder.add_root_certificate(certificate);
        }
        let client = builder.build().map_err(|error| refused(error.to_string()))?;
        Ok(Self { client, guard })
    }

    /// Checks an address that somebody else wrote. What is sent goes to such addresses only.
    ///
    /// # Errors
    /// `IDENTITY007` for one that is not followed.
    pub fn url(&self, text: &str) -> Result<Url> {
        Ok(self.guard.url(text)?)
    }

    /// # Errors
    /// `IDENTITY002` when nothing comes or it takes too long, `IDENTITY004` for too much of it,
    /// `IDENTITY007` for a way that is not gone: a redirect, or a name that leads astray.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply> {
        let mut answer = request.send().await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_redirection() {
            let text = format!("{} answers with a redirect, which is not followed", answer.url());
            return Err(Error::backend(code::IDENTITY007, Retry::Never, text));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > ANSWER_BYTES {
                let text = format!("the provider's answer has more than {ANSWER_BYTES} bytes");
                return Err(Error::backend(code::IDENTITY004, Retry::Never, text));
            }
            body.extend_from_slice(&part);
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(unwell(status, &headers));
        }
        Ok(Reply { status, headers, body })
    }

    /// A document.
    ///
    /// # Errors
    /// As [`Http::send`]; `IDENTITY004` for what is no such document.
    pub async fn get<T: DeserializeOwned>(&self, url: &Url, what: &str) -> Result<T> {
        let request = self.client.get(url.clone()).header("accept", "application/json");
        let reply = self.send(request).await?;
        if !reply.status.is_success() {
            let text = format!("the provider answers {} for its {what}", reply.status);
            return Err(Error::backend(code::IDENTITY002, Retry::After(RETRY), text));
        }
        reply.json(what)
    }
}

impl Reply {
    /// # Errors
    /// `IDENTITY004` when the body is not what it should be. Nothing of it is shown: it may hold
    /// a token.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let text = format!("the provider's {what} cannot be read ({place})");
            Error::backend(code::IDENTITY004, Retry::Never, text)
        })
    }
}

/// An answer that says: not now.
pub fn unwell(status: StatusCode, headers: &HeaderMap) -> Error {
    let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let after = after.map_or(RETRY, Duration::from_secs).min(RETRY_MOST);
    let text = format!("the identity provider answers {status}");
    Error::backend(code::IDENTITY002, Retry::After(after), text)
}

fn failed(error: reqwest::Error) -> Error {
    if let Some(refused) = refusal(&error) {
        return refused.into();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    let text = format!("the identity provider cannot be reached: {}", words(&text));
    Error::backend(code::IDENTITY002, Retry::After(RETRY), text)
}

//! What the API answers when it does not do what it was asked, in the words of drivers.

use std::time::Duration;

use dispatch_driver::{Error, Retry};
use dispatch_model::code;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::busy;
use crate::runtime;

/// A request that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// `None`: there was no answer.
    pub status: Option<StatusCode>,
    /// `Conflict`, `Expired`, `Invalid`, …; empty where the server does not say.
    pub reason: String,
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub fn unanswered(error: reqwest::Error) -> Self {
        Self::said(runtime::unanswered(error).message)
    }

    pub fn said(message: String) -> Self {
        Self { status: None, reason: String::new(), message, retry_after: None }
    }

    /// Of an answer, whose body is a `Status` or, of a proxy before the server, any text.
    pub fn answered(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let told: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let message = match text("message") {
            message if message.is_empty() => runtime::shown(body),
            message => message,
        };
        let retry_after = busy::retry_after(headers);
        Self { status: Some(status), reason: text("reason"), message, retry_after }
    }

    pub fn is(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }

    /// Whether the same request may well succeed in a moment: the server is away or busy, or
    /// somebody else was faster.
    pub fn passes(&self) -> bool {
        self.status.is_none_or(|status| {
            status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT)
        })
    }

    /// For what was asked of `server`.
    pub fn error(self, server: &str, asked: &str) -> Error {
        let Self { status, message, retry_after, .. } = self;
        let retry = match status {
            None => Retry::Now,
            Some(status) if status.is_server_error() => Retry::After(Duration::from_secs(1)),
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT) => {
                Retry::After(retry_after.unwrap_or(Duration::from_secs(1)))
            }
            Some(_) => Retry::Never,
        };
        let text = match status {
            None => format!("Kubernetes at {server} does not answer: {message}"),
            Some(StatusCode::UNAUTHORIZED) => {
                format!("Kubernetes at {server} refuses the credentials of the engine: {message}")
            }
            Some(StatusCode::FORBIDDEN) => format!(
                "{message}: bind the role of docs/reference/engines/kubernetes.md to that user"
            ),
            Some(status) => {
                format!("Kubernetes at {server} answered {status} to {asked}: {message}")
            }
        };
        Error::backend(code::ENGINE006, retry, text).unreached()
    }
}

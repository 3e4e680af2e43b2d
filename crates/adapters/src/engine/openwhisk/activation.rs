//! Activations: OpenWhisk's records of calls, and what they mean.

use std::time::Duration;

use bytes::Bytes;
use dispatch_driver::{Error, Outcome, Phases, Result, Retry};
use dispatch_model::{InvocationError, InvocationErrorType, Logs, code};
use http::HeaderMap;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::runtime::{self, Reply};

/// A record, as far as it is needed. The result is not read yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activation<'a> {
    #[serde(borrow)]
    pub activation_id: &'a str,
    #[serde(borrow)]
    pub response: Response<'a>,
    #[serde(default)]
    pub logs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    #[serde(borrow)]
    status: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    Success,
    /// The function's fault, with OpenWhisk's words.
    Failed(String),
    /// OpenWhisk's.
    Internal(String),
}

impl<'a> Activation<'a> {
    /// `None` when it is no record.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    pub fn ending(&self) -> Ending {
        match &*self.response.status {
            "success" => Ending::Success,
            "application error" => Ending::Failed(self.error()),
            // Newer and older words for it.
            "developer error" | "action developer error" => Ending::Failed(self.error()),
            _ => Ending::Internal(self.error()),
        }
    }

    fn error(&self) -> String {
        let text = self.response.result.map_or("null", RawValue::get);
        let result: Value = serde_json::from_str(text).unwrap_or_default();
        match &result["error"] {
            Value::String(error) => error.clone(),
            Value::Null => runtime::shown(text.as_bytes()),
            error => error.to_string(),
        }
    }

    /// The outcome of a call that was answered.
    ///
    /// # Errors
    /// When what the action returned is no answer of a function's image.
    pub fn outcome(&self, body: &Bytes, phases: Phases) -> Result<Outcome> {
        let Some(result) = self.response.result else {
            return Err(internal("a success without a result"));
        };
        let body = body.slice_ref(result.get().as_bytes());
        runtime::outcome(&Reply { status: StatusCode::OK, headers: HeaderMap::new(), body }, phases)
    }
}

/// The outcome of a call whose action failed under it.
pub fn failed(message: String, mut logs: Logs, limit: Duration, phases: Phases) -> Outcome {
    runtime::limit(&mut logs);
    // The host in the image says it better, where it is asked to.
    if message.contains("exceeded its time limits") {
        return Outcome { logs, ..runtime::timed_out(limit, phases) };
    }
    let (kind, stacktrace) = (InvocationErrorType::FunctionError, Vec::new());
    let error = InvocationError { kind, message, stacktrace };
    Outcome { result: Err(runtime::limited(error)), logs, phases }
}

pub fn internal(message: &str) -> Error {
    let text = format!("OpenWhisk failed: {message}");
    Error::backend(code::ENGINE006, Retry::After(Duration::from_secs(1)), text)
}

/// Lines as OpenWhisk keeps them: `2026-11-26T17:00:00.123456789Z stdout: text`.
pub fn logs(lines: &[String]) -> Logs {
    let mut logs = Logs::default();
    for line in lines {
        let rest = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        if let Some(text) = rest.strip_prefix("stderr:") {
            logs.stderr.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
        } else if let Some(text) = rest.strip_prefix("stdout:") {
            logs.stdout.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
        } else {
            logs.stdout.push(line.clone());
        }
    }
    logs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(status: &str, result: &str) -> Ending {
        let id = "0123456789abcdef0123456789abcdef";
        let record = format!(
            r#"{{"activationId": "{id}", "duration": 2, "logs": [], "version": "0.0.1",
                "response": {{"status": "{status}", "success": false, "result": {result}}}}}"#
        );
        Activation::read(record.as_bytes()).unwrap().ending()
    }

    #[test]
    fn endings_are_told_by_their_status() {
        assert_eq!(ending("success", "{}"), Ending::Success);
        let failed = |text: &str| Ending::Failed(text.to_owned());
        assert_eq!(ending("application error", r#"{"error": "no"}"#), failed("no"));
        assert_eq!(ending("action developer error", r#"{"error": [1]}"#), failed("[1]"));
        assert_eq!(ending("developer error", r#"{"other": 1}"#), failed(r#"{"other": 1}"#));
        let internal = Ending::Internal("gone".to_owned());
        assert_eq!(ending("whisk internal error", r#"{"error": "gone"}"#), internal);
        assert!(Activation::read(b"<html>").is_none());
    }

    #[test]
    fn lines_know_their_stream() {
        let line = |text: &str| format!("2026-11-26T17:00:00.123456789Z {text}");
        let lines = [line("stdout: one"), line("stderr:  two"), "neither".to_owned()];
        let logs = logs(&lines);
        assert_eq!(
            (logs.stdout, logs.stderr),
            (vec!["one".to_owned(), "neither".to_owned()], vec![" two".to_owned()],)
        );
    }
}

//! One call, and what came of it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dispatch_driver::{Call, Error, Outcome, Phases, Result, Retry};
use dispatch_model::{InvocationError, InvocationErrorType, Logs, RawJson, code};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::client::{Client, Refusal};
use super::deploy::ALIAS;
use super::function::MAX_BODY;
use super::signature::sha256;
use crate::runtime::{self, Reply};

/// Has the last 4 KiB of its log come with the answer.
const TAIL: &[(&str, &str)] = &[("x-amz-log-type", "Tail")];
/// How long a caller stays away from a Lambda that does not say so.
const BUSY: Duration = Duration::from_secs(1);
/// An event that is no call: whether the handler is loaded.
const HEALTHZ: &[u8] = br#""healthz""#;

/// Calls the function whose invocations go to `path`.
pub async fn invoke(client: &Client, path: &str, call: &Call) -> Result<Outcome> {
    let begun = Instant::now();
    let limit = call.deadline.saturating_duration_since(begun);
    let parts = runtime::parts(call);
    let length: usize = parts.iter().map(Bytes::len).sum();
    if length > MAX_BODY {
        return Ok(too_large(length));
    }
    let request = send(client, path, &parts);
    let until = tokio::time::Instant::from_std(call.deadline);
    let Ok(request) = tokio::time::timeout_at(until, request).await else {
        let text = "no credentials came until the deadline of the call";
        return Err(Error::backend(code::ENGINE006, Retry::Now, text).unreached());
    };
    let request = request?.body(runtime::body(call));
    let patient = Call { deadline: call.deadline + runtime::GRACE, ..call.clone() };
    match runtime::send(request, &patient).await {
        Ok(reply) => outcome(&reply, limit, runtime::handled(begun)),
        Err(error) => runtime::unheard(error, begun, call.deadline),
    }
}

async fn send(client: &Client, path: &str, parts: &[Bytes]) -> Result<reqwest::RequestBuilder> {
    let query = [("Qualifier", ALIAS)];
    let digest = sha256(parts);
    let request = client.signed(Method::POST, path, &query, TAIL, &digest).await?;
    Ok(request.header("content-type", "application/json"))
}

/// Starts the function once, and has it load its handler.
pub async fn load(client: &Client, path: &str, patience: Duration) -> Result<()> {
    let body = Bytes::from_static(HEALTHZ);
    let parts = [body.clone()];
    let until = Instant::now() + patience;
    loop {
        let request = send(client, path, &parts).await?.body(body.clone());
        let reply = runtime::ask(request, patience, MAX_BODY).await?;
        if reply.status.is_success() {
            return match failure(&reply) {
                Some(failure) => Err(unloaded(&failure, &tail(&reply))),
                None => Ok(()),
            };
        }
        let error = refused(&Refusal::of(&reply));
        let wait = match error.retry {
            Retry::After(wait) => wait,
            // An alias is known a moment after it was made.
            Retry::Now => BUSY,
            Retry::Never => return Err(error),
        };
        if Instant::now() + wait > until {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
    }
}

fn unloaded(failure: &Failure, tail: &[String]) -> Error {
    let lines = failure.stack_trace.iter().chain(tail);
    let words: Vec<_> =
        std::iter::once(&failure.message).chain(lines).map(String::as_str).collect();
    Error::caller(code::ENGINE003, words.join("\n"))
}

fn too_large(length: usize) -> Outcome {
    let message = format!(
        "the call has {length} bytes with its context; Lambda takes {MAX_BODY} in one request"
    );
    let kind = InvocationErrorType::InputError;
    let error = InvocationError { kind, message, stacktrace: Vec::new() };
    Outcome { result: Err(error), logs: Logs::default(), phases: Phases::default() }
}

fn outcome(reply: &Reply, limit: Duration, phases: Phases) -> Result<Outcome> {
    if !reply.status.is_success() {
        let refusal = Refusal::of(reply);
        if refusal.status == StatusCode::PAYLOAD_TOO_LARGE {
            let kind = InvocationErrorType::InputError;
            let error = InvocationError { kind, message: refusal.message, stacktrace: Vec::new() };
            return Ok(Outcome { result: Err(error), logs: Logs::default(), phases });
        }
        return Err(refused(&refusal));
    }
    let Some(failure) = failure(reply) else { return runtime::outcome(reply, phases) };
    if failure.is_timeout() {
        let logs = Logs { stdout: tail(reply), stderr: Vec::new() };
        return Ok(Outcome { logs, ..runtime::timed_out(limit, phases) });
    }
    let Failure { message, stack_trace, .. } = failure;
    let kind = InvocationErrorType::FunctionError;
    let error = InvocationError { kind, message, stacktrace: stack_trace };
    let result: std::result::Result<RawJson, _> = Err(runtime::limited(error));
    Ok(Outcome { result, logs: Logs { stdout: tail(reply), stderr: Vec::new() }, phases })
}

/// What Lambda says when it did not let the function answer, or that could not.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Failure {
    #[serde(rename = "errorMessage")]
    message: String,
    error_type: String,
    stack_trace: Vec<String>,
}

impl Failure {
    fn is_timeout(&self) -> bool {
        self.error_type == "Sandbox.Timedout" || self.message.contains("Task timed out after")
    }
}

fn failure(reply: &Reply) -> Option<Failure> {
    reply.headers.get("x-amz-function-error")?;
    Some(
        serde_json::from_slice(&reply.body).unwrap_or_else(|_| Failure {
            message: runtime::shown(&reply.body),
            ..Failure::default()
        }),
    )
}

/// The end of the function's log, without what Lambda itself writes there.
fn tail(reply: &Reply) -> Vec<String> {
    let text = reply.headers.get("x-amz-log-result");
    let text = text.and_then(|text| STANDARD.decode(text.as_bytes()).ok()).unwrap_or_default();
    let of_lambda = ["START RequestId", "END RequestId", "REPORT RequestId", "INIT_START"];
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|line| !of_lambda.iter().any(|word| line.starts_with(word)));
    lines.map(str::to_owned).collect()
}

/// A call that Lambda did not give to the function, as far as its answer tells.
fn refused(refusal: &Refusal) -> Error {
    let text = refusal.to_string();
    let after = Retry::After(refusal.after.unwrap_or(BUSY));
    if refusal.is_busy() {
        return Error::backend(code::ENGINE005, after, text).unreached();
    }
    // The function is being changed; others are called as ever.
    if refusal.is("ResourceConflictException") {
        return Error::backend(code::ENGINE005, after, text).unreached().of_deployment();
    }
    if refusal.is("ResourceNotFoundException") {
        return Error::backend(code::ENGINE007, Retry::Now, text).unreached();
    }
    if refusal.status.is_client_error() {
        return Error::backend(code::ENGINE006, Retry::Never, text).unreached();
    }
    // Lambda's own errors with a name say that it could not start the function.
    let error = Error::backend(code::ENGINE006, after, text);
    match refusal.status == StatusCode::BAD_GATEWAY && refusal.kind.ends_with("Exception") {
        true => error.unreached(),
        false => error,
    }
}

#[cfg(test)]
mod tests;

//! The Function Runtime API, as a client speaks it to a function's own image: the body of a call
//! goes out as the parts it is made of, and the answer is taken apart without copying its payload.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dispatch_driver::{Call, Error, Outcome, Phases, Reached, Result, Retry};
use dispatch_model::{InvocationError, InvocationErrorType, Logs, RawJson, code};
use http_body::{Frame, SizeHint};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Largest answer of a call that is read, in bytes.
pub const MAX_ANSWER: usize = 64 << 20;
/// Largest log that is read, in bytes.
pub const MAX_LOG: usize = 16 << 20;
/// Largest of other answers, in bytes.
pub const MAX_SMALL: usize = 1 << 20;
/// How long after a call's deadline the function's own words are waited for: what runs it ends the
/// call at the same moment, and knows what it printed.
pub const GRACE: Duration = Duration::from_millis(250);
/// Largest part of a foreign error that is shown, in bytes.
const MAX_SHOWN: usize = 2_000;
/// What is kept of each of a call's two streams, and of the stack trace of its error, in bytes.
const MAX_STREAM: usize = 64 << 10;
/// What is kept of an error's message, in bytes.
const MAX_MESSAGE: usize = 8 << 10;

/// `{"context": …, "payload": …}` of a call; neither is copied.
pub fn body(call: &Call) -> reqwest::Body {
    reqwest::Body::wrap(Parts(parts(call).into()))
}

/// What the body of a call is made of.
pub fn parts(call: &Call) -> [Bytes; 5] {
    [
        Bytes::from_static(br#"{"context":"#),
        call.context.clone(),
        Bytes::from_static(br#","payload":"#),
        call.payload.clone(),
        Bytes::from_static(b"}"),
    ]
}

struct Parts(VecDeque<Bytes>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

/// What came back over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// Sends a call and reads the whole answer, until the call's deadline. Half of the time is for the
/// connection, so that another engine has the rest when none comes about.
///
/// # Errors
/// When nothing was answered: surely unreached where nothing of the call was sent.
pub async fn send(request: reqwest::RequestBuilder, call: &Call) -> Result<Reply> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(unanswered)?;
    let begun = Arc::new(AtomicBool::new(false));
    if let Some(body) = request.body_mut().take() {
        let noticed = Noticed { body, begun: begun.clone() };
        *request.body_mut() = Some(reqwest::Body::wrap(noticed));
    }
    let answered = async {
        let response = client.execute(request).await.map_err(unanswered)?;
        reply(response, MAX_ANSWER).await
    };
    let mut answered = std::pin::pin!(answered);
    let half = Instant::now() + call.deadline.saturating_duration_since(Instant::now()) / 2;
    if let Ok(end) = tokio::time::timeout_at(half.into(), &mut answered).await {
        return end;
    }
    if !begun.load(Ordering::Acquire) {
        let text = "no connection came about in half of the call's time";
        return Err(Error::backend(code::ENGINE006, Retry::Now, text).unreached());
    }
    let limit = tokio::time::Instant::from_std(call.deadline);
    tokio::time::timeout_at(limit, answered).await.unwrap_or_else(|_| Err(late()))
}

/// Sends what is no call, and reads an answer whose body has `most` bytes.
///
/// # Errors
/// When nothing was answered within the limit, or more than that.
pub async fn ask(request: reqwest::RequestBuilder, limit: Duration, most: usize) -> Result<Reply> {
    reply(request.timeout(limit).send().await.map_err(unanswered)?, most).await
}

async fn reply(mut response: reqwest::Response, most: usize) -> Result<Reply> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(&mut response, most).await?;
    Ok(Reply { status, headers, body })
}

/// A body that tells when its first part is asked for: until then nothing of it was sent.
struct Noticed {
    body: reqwest::Body,
    begun: Arc<AtomicBool>,
}

impl http_body::Body for Noticed {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.begun.store(true, Ordering::Release);
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a call that got no answer comes to: after `ends` it is the function's own time that is
/// over, unless the call surely was not sent.
///
/// # Errors
/// The error itself, where the system behind it is at fault.
pub fn unheard(error: Error, begun: Instant, ends: Instant) -> Result<Outcome> {
    if Instant::now() < ends || error.reached == Reached::No {
        return Err(error);
    }
    Ok(timed_out(ends.saturating_duration_since(begun), handled(begun)))
}

/// A body of `most` bytes; one that comes in one piece is not copied.
///
/// # Errors
/// When there is more of it.
pub async fn read(response: &mut reqwest::Response, most: usize) -> Result<Bytes> {
    let first = response.chunk().await.map_err(unanswered)?.unwrap_or_default();
    let Some(second) = response.chunk().await.map_err(unanswered)? else { return Ok(first) };
    let expected = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let mut whole = Vec::with_capacity(expected.min(most).max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(more) = response.chunk().await.map_err(unanswered)? {
        if whole.len() + more.len() > most {
            let text = format!("the answer is larger than {most} bytes");
            return Err(Error::backend(code::ENGINE006, Retry::Never, text).of_deployment());
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole.into())
}

/// What a function's image answered with 200, 400 or 413.
///
/// # Errors
/// When it is no answer of the Function Runtime API.
pub fn outcome(reply: &Reply, phases: Phases) -> Result<Outcome> {
    let answer: Answer = serde_json::from_slice(&reply.body).map_err(|error| {
        let (status, shown) = (reply.status, shown(&reply.body));
        let text = format!("{status} is no answer of a function's image ({error}): {shown}");
        Error::backend(code::ENGINE006, Retry::Never, text).of_deployment()
    })?;
    let AnswerContext { error, mut logs } = answer.context;
    limit(&mut logs);
    let result = match error {
        Some(error) => Err(limited(error)),
        None => Ok(match answer.payload {
            Some(payload) => RawJson::within(&reply.body, payload),
            None => RawJson::written("null".to_owned()),
        }),
    };
    Ok(Outcome { result, logs, phases })
}

/// Keeps the beginning of what a call printed. An image may answer with as much as it likes, and
/// all of it would be stored.
pub fn limit(logs: &mut Logs) {
    cut_lines(&mut logs.stdout);
    cut_lines(&mut logs.stderr);
}

/// The beginning of an error that an image made up.
pub fn limited(mut error: InvocationError) -> InvocationError {
    cut(&mut error.message);
    cut_lines(&mut error.stacktrace);
    error
}

/// Keeps the beginning of an error's message.
pub fn cut(message: &mut String) {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.shrink_to_fit();
        message.push('…');
    }
}

fn cut_lines(lines: &mut Vec<String>) {
    let mut room = MAX_STREAM;
    for at in 0..lines.len() {
        let line = &mut lines[at];
        if line.len() >= room {
            line.truncate(line.floor_char_boundary(room));
            line.shrink_to_fit();
            lines.truncate(at + 1);
            lines.shrink_to_fit();
            lines.push(format!("[dispatch: cut after {MAX_STREAM} bytes]"));
            return;
        }
        // Its end counts, too: there may be any number of empty ones.
        room -= line.len() + 1;
    }
}

/// The outcome of a call that did not end in time.
pub fn timed_out(limit: Duration, phases: Phases) -> Outcome {
    let message = format!("the function timed out after {} ms", limit.as_millis());
    let (kind, stacktrace) = (InvocationErrorType::FunctionError, Vec::new());
    let error = InvocationError { kind, message, stacktrace };
    Outcome { result: Err(error), logs: Logs::default(), phases }
}

/// Time from `begun` until now, all of it the handler's as far as can be told from outside.
pub fn handled(begun: Instant) -> Phases {
    Phases { handler: begun.elapsed(), ..Phases::default() }
}

/// A foreign text as it may be shown in an error: its beginning.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SHOWN)]);
    text.trim().to_owned()
}

/// An error of a request that got no answer, with all its causes and without its URL.
pub fn unanswered(error: reqwest::Error) -> Error {
    let unreached = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    let error = Error::backend(code::ENGINE006, Retry::Now, text);
    if unreached { error.unreached() } else { error }
}

fn late() -> Error {
    Error::backend(code::ENGINE006, Retry::Now, "no answer until the deadline of the call")
}

#[derive(Deserialize)]
struct Answer<'a> {
    context: AnswerContext,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AnswerContext {
    #[serde(default)]
    error: Option<InvocationError>,
    #[serde(default)]
    logs: Logs,
}

#[cfg(test)]
mod sending_tests;
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(body: &serde_json::Value) -> Reply {
        let body = body.to_string().into();
        Reply { status: StatusCode::OK, headers: http::HeaderMap::new(), body }
    }

    #[test]
    fn what_an_image_prints_and_says_of_its_error_is_kept_up_to_a_limit() {
        let (long, many) = ("ä".repeat(MAX_STREAM), vec![""; 2 * MAX_STREAM]);
        let error = json!({"type": "FunctionError", "message": long, "stacktrace": [long, long]});
        let logs = json!({"stdout": ["first", long, "last"], "stderr": many});
        let body = json!({"context": {"error": error, "logs": logs}});
        let outcome = outcome(&reply(&body), Phases::default()).unwrap();
        let error = outcome.result.unwrap_err();
        assert!(error.message.len() <= MAX_MESSAGE + 3 && error.message.ends_with('…'));
        for lines in [&error.stacktrace, &outcome.logs.stdout, &outcome.logs.stderr] {
            let (last, kept) = lines.split_last().unwrap();
            assert!(last.contains("cut after"), "{last}");
            assert!(kept.iter().map(|line| line.len() + 1).sum::<usize>() <= MAX_STREAM + 1);
        }
        assert_eq!(outcome.logs.stdout[0], "first");
    }

    #[test]
    fn what_is_no_answer_is_said_of_the_deployment_only() {
        let error = outcome(&reply(&json!("nonsense")), Phases::default()).unwrap_err();
        assert_eq!(error.scope, dispatch_driver::Scope::Deployment);
    }
}

//! Answers that go on: server-sent events for as long as the caller may have them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::future::ready;
use futures::stream::once;
use futures::{Stream, StreamExt as _};
use tokio::sync::oneshot;

use super::error::Failure;
use crate::app::{App, Caller, Error, Result};

/// How often a quiet stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Sends events about a kind of resource. The stream ends when the server stops; an error ends it
/// too, and is then its last event: of the events themselves, or because the caller's account or
/// rights are gone.
pub fn stream(
    app: &Arc<App>,
    caller: &Caller,
    resource: &'static str,
    events: impl Stream<Item = Result<Event>> + Send + 'static,
) -> Response {
    let (end, ended) = oneshot::channel();
    let (watched, of) = (app.clone(), caller.clone());
    let revoked = async move {
        // Nobody listens any more when the client has gone.
        let _ = end.send(watched.revoked(&of, resource).await);
    };
    let last = once(ended).filter_map(|error| ready(error.ok().map(Err)));
    let id = caller.request_id.clone();
    let events = events
        .take_until(revoked)
        .chain(last)
        .scan(false, |over, event| {
            let before = std::mem::replace(over, event.is_err());
            ready((!before).then_some(event))
        })
        .map(move |event| Ok::<_, Infallible>(event.unwrap_or_else(|error| failed(error, &id))))
        .take_until(app.stop.clone().cancelled_owned());
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Sse::new(events).keep_alive(alive).into_response()
}

/// An error as an event: what its body would have been, had it come before the answer began.
fn failed(error: Error, request_id: &str) -> Event {
    tracing::info!(%error, "a stream ends");
    let mut body = Failure(error).body();
    body.request_id = Some(request_id.to_owned());
    let text = serde_json::to_string(&body).expect("an error body has text keys only");
    Event::default().event("error").data(text)
}

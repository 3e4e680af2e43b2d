//! Lists that are watched: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dispatch_model::{Kind, State};
use dispatch_wire::FromModel;
use futures::{Stream, StreamExt as _};
use serde::Serialize;

use super::error::ApiResult;
use super::query::ListParameters;
use crate::app::watch::{Event, Numbered};
use crate::app::{App, Caller, Result};

/// How often a quiet stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The data of an event.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Watched<T> {
    /// ADDED, MODIFIED or DELETED.
    #[serde(rename = "type")]
    event: &'static str,
    object: T,
}

/// What is left to say of a thing that is gone.
#[derive(Serialize, utoipa::ToSchema)]
struct Gone {
    id: uuid::Uuid,
    kind: &'static str,
    name: String,
    status: &'static str,
}

/// Follows a list. Ends when the server stops or the store fails; the client then comes back with
/// the number it saw last.
pub async fn watch<S, P>(app: &App, caller: &Caller, list: ListParameters<P>) -> ApiResult<Response>
where
    S: FromModel + Serialize + 'static,
{
    let events = app.watch::<S::Kind>(caller, list.query, list.last_event).await?;
    let stopped = app.stop.clone().cancelled_owned();
    let stream = until_error(events).map(|numbered| Ok::<_, Infallible>(sse::<S>(numbered)));
    let stream = stream.take_until(stopped);
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Ok(Sse::new(stream).keep_alive(alive).into_response())
}

fn until_error<K: Kind>(
    events: impl Stream<Item = Result<Numbered<K>>>,
) -> impl Stream<Item = Numbered<K>> {
    events.scan((), |(), event| {
        if let Err(error) = &event {
            tracing::warn!(%error, "a watch ends");
        }
        futures::future::ready(event.ok())
    })
}

fn sse<S>((number, event): Numbered<S::Kind>) -> SseEvent
where
    S: FromModel + Serialize,
{
    let data = match event {
        Event::Added(resource) => json("ADDED", S::from_model(&resource)),
        Event::Modified(resource) => json("MODIFIED", S::from_model(&resource)),
        Event::Deleted { name, id } => {
            let kind = <S::Kind as Kind>::KIND.as_str();
            let status = State::Deleted.as_str();
            json("DELETED", Gone { id, kind, name: name.to_string(), status })
        }
    };
    let event = SseEvent::default().data(data);
    match number {
        Some(number) => event.id(number.to_string()),
        None => event,
    }
}

fn json<T: Serialize>(event: &'static str, object: T) -> String {
    serde_json::to_string(&Watched { event, object }).expect("shapes have text keys only")
}

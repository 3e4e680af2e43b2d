//! Lists that are watched: server-sent events.

use std::sync::Arc;

use axum::response::Response;
use axum::response::sse::Event as SseEvent;
use dispatch_model::engine::Engine;
use dispatch_model::{Kind, Resource, State};
use dispatch_wire::FromModel;
use futures::StreamExt as _;
use serde::Serialize;

use super::error::ApiResult;
use super::query::ListParameters;
use super::stream::stream;
use crate::app::watch::{Event, Numbered};
use crate::app::{App, Caller};

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

/// Follows a list. A client that was cut off comes back with the number it saw last.
pub async fn watch<S, P>(
    app: &Arc<App>,
    caller: &Caller,
    list: ListParameters<P>,
) -> ApiResult<Response>
where
    S: FromModel + Serialize + 'static,
{
    let events = app.watch::<S::Kind>(caller, list.query, list.last_event).await?;
    let events = events.map(|numbered| numbered.map(|numbered| sse(numbered, S::from_model)));
    let resource = <S::Kind as Kind>::KIND.policy_resource();
    Ok(stream(app, caller, resource, events))
}

/// Follows engines, which not everybody sees alike.
pub async fn engines<P>(
    app: &Arc<App>,
    caller: &Caller,
    list: ListParameters<P>,
) -> ApiResult<Response> {
    let events = app.engine_watch(caller, list.query, list.last_event).await?;
    let of = app.clone();
    let events = events.map(move |numbered| {
        numbered.map(|numbered| sse(numbered, |engine| of.engine_shape(engine)))
    });
    Ok(stream(app, caller, Engine::KIND.policy_resource(), events))
}

fn sse<K: Kind, S: Serialize>(
    (number, event): Numbered<K>,
    shape: impl FnOnce(&Resource<K>) -> S,
) -> SseEvent {
    let data = match event {
        Event::Added(resource) => json("ADDED", shape(&resource)),
        Event::Modified(resource) => json("MODIFIED", shape(&resource)),
        Event::Deleted { name, id } => {
            let kind = K::KIND.as_str();
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

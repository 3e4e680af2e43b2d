//! `/v1/runs`, and `/v1/deadletters`, which is an addition to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use dispatch_model::{Page, Run, Violation};
use dispatch_wire as wire;
use futures::StreamExt as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::{ListDocumentation, Problems};
use super::query::Selectors;
use super::stream::stream;
use super::{ListParameters, body, reply};
use crate::app::run::{FUNCTION_NAME, IDEMPOTENCY_KEY, RESOURCE, SINCE};
use crate::app::{App, Caller, Error};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[(FUNCTION_NAME, FUNCTION_NAME), (SINCE, SINCE)];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get))
        .routes(routes!(logs))
        .routes(routes!(dead_list))
        .routes(routes!(dead_get, dead_delete))
        .routes(routes!(dead_replay))
}

/// Runs a function. Blocking: 200 with the finished run, also when it failed; else 202.
#[utoipa::path(post, path = "/v1/runs", tag = "run", operation_id = "run_create",
    params(
        ("functionName" = Option<String>, Query, description = "The function; or in the body"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Names the request: a repeat with the same name returns the first run"),
    ),
    request_body = wire::Run,
    responses((status = 200, body = wire::Run), (status = 202, body = wire::Run), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    request: Request,
) -> ApiResult<Response> {
    let query = parameters(query, &[FUNCTION_NAME])?;
    let key = key(&headers)?;
    let bytes = body::read(request, app.limits.max_body_bytes, "limits.max_body_bytes").await?;
    let shape: wire::Run = match bytes.is_empty() {
        true => wire::Run::default(),
        false => wire::parse(&bytes)?,
    };
    let status = if shape.blocking { StatusCode::OK } else { StatusCode::ACCEPTED };
    let function = query.first().map(|(_, function)| function.as_str());
    let run = app.run_create(&caller, shape, function, key).await?;
    Ok((status, Json(wire::Run::from(run))).into_response())
}

/// Lists runs, the newest first; with `watch=true`, follows those that begin and end.
#[utoipa::path(get, path = "/v1/runs", tag = "run", operation_id = "run_list",
    params(
        ListDocumentation,
        ("functionName" = Option<String>, Query, description = "Only runs of this function"),
        ("since" = Option<i64>, Query, description = "Only runs accepted since (unix seconds)"),
    ),
    responses((status = 200, body = [wire::Run]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return follow(&app, &caller, &parameters).await;
    }
    let page = app.run_list(&caller, &parameters.query).await?;
    Ok(shapes(&parameters, page))
}

async fn follow(
    app: &Arc<App>,
    caller: &Caller,
    parameters: &ListParameters<Fields>,
) -> ApiResult<Response> {
    let runs = app.run_follow(caller, &parameters.query).await?;
    let events = runs.map(|run| {
        let event = if run.finished_us.is_some() { "MODIFIED" } else { "ADDED" };
        let watched = Watched { event, object: wire::Run::from(run) };
        Event::default().json_data(watched).map_err(Error::internal)
    });
    Ok(stream(app, caller, RESOURCE, events))
}

/// The data of an event of a followed list.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Watched {
    /// ADDED for a run that waits, MODIFIED for one that has ended.
    #[serde(rename = "type")]
    event: &'static str,
    object: wire::Run,
}

/// Gets one run.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "run", operation_id = "run_get",
    params(
        ("id" = String, Path, description = "The run's UUID"),
        ("functionName" = Option<String>, Query, description = "404 unless it is of this function"),
    ),
    responses((status = 200, body = wire::Run), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<wire::Run>> {
    let query = parameters(query, &[FUNCTION_NAME, SINCE, "tags"])?;
    let run = app.run_get(&caller, &id).await?;
    let of_it = |(name, value): &(String, String)| {
        name != FUNCTION_NAME || value == run.function_name.as_str()
    };
    if !query.iter().all(of_it) {
        return Err(Error::RunNotFound(id).into());
    }
    Ok(Json(run.into()))
}

/// Gets the lines a run printed; with `follow=true`, once it has ended.
#[utoipa::path(get, path = "/v1/runs/{id}/logs", tag = "run", operation_id = "run_logs",
    params(
        ("id" = String, Path, description = "The run's UUID"),
        ("follow" = Option<bool>, Query, description = "Wait for the end of the run"),
    ),
    responses((status = 200, body = wire::RunLogs), Problems))]
async fn logs(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<wire::RunLogs>> {
    let query = parameters(query, &["follow"])?;
    let run = match query.iter().any(|(_, value)| value != "false") {
        true => app.run_wait(&caller, &id).await?,
        false => app.run_get(&caller, &id).await?,
    };
    Ok(Json(wire::Run::from(run).logs.unwrap_or_default()))
}

/// Lists dead letters: non-blocking runs that failed for good.
#[utoipa::path(get, path = "/v1/deadletters", tag = "run", operation_id = "dead_letter_list",
    params(
        ListDocumentation,
        ("functionName" = Option<String>, Query, description = "Only runs of this function"),
        ("since" = Option<i64>, Query, description = "Only runs accepted since (unix seconds)"),
    ),
    responses((status = 200, body = [wire::Run]), Problems))]
async fn dead_list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    let page = app.dead_letter_list(&caller, &parameters.query).await?;
    Ok(shapes(&parameters, page))
}

/// Gets one dead letter.
#[utoipa::path(get, path = "/v1/deadletters/{id}", tag = "run", operation_id = "dead_letter_get",
    params(("id" = String, Path, description = "The run's UUID")),
    responses((status = 200, body = wire::Run), Problems))]
async fn dead_get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> ApiResult<Json<wire::Run>> {
    Ok(Json(app.dead_letter_get(&caller, &id).await?.into()))
}

/// Takes a run off the dead letters; it stays among the runs.
#[utoipa::path(delete, path = "/v1/deadletters/{id}", tag = "run",
    operation_id = "dead_letter_delete",
    params(("id" = String, Path, description = "The run's UUID")),
    responses((status = 200, body = wire::Run), Problems))]
async fn dead_delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> ApiResult<Json<wire::Run>> {
    Ok(Json(app.dead_letter_delete(&caller, &id).await?.into()))
}

/// Queues a new run like the dead one, which then is a dead letter no more.
#[utoipa::path(post, path = "/v1/deadletters/{id}/replay", tag = "run",
    operation_id = "dead_letter_replay",
    params(("id" = String, Path, description = "The run's UUID")),
    responses((status = 202, body = wire::Run), Problems))]
async fn dead_replay(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> ApiResult<(StatusCode, Json<wire::Run>)> {
    let run = app.dead_letter_replay(&caller, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(run.into())))
}

fn shapes(parameters: &ListParameters<Fields>, page: Page<Run>) -> Response {
    let shapes: Vec<wire::Run> = page.items.into_iter().map(wire::Run::from).collect();
    reply::shapes_page(&parameters.path_and_query, page.continue_token.as_deref(), &shapes)
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Violation> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str();
    let text = text.map_err(|_| Violation::new(IDEMPOTENCY_KEY, "must be visible ASCII"))?;
    Ok(Some(text.to_owned()))
}

/// The query's pairs, of which every name must be known.
fn parameters(query: Option<String>, known: &[&str]) -> Result<Vec<(String, String)>, Violation> {
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(pairs),
        Some((name, _)) => {
            let rule = format!("is no parameter of this request: {}", known.join(", "));
            Err(Violation::new(name.clone(), rule))
        }
    }
}

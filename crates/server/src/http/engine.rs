//! `/v1/engine` and `/v1/enginetype`: where functions run. An addition to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_model::engine::Engine;
use dispatch_model::{Kind as _, Resource};
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::{DeleteParameters, GetParameters, ListDocumentation, Problems, PutParameters};
use super::query::Selectors;
use super::{Body, ListParameters, One, reply, watch};
use crate::app::engine::Service;
use crate::app::{App, Caller};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[("type", "engine_type")];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(cordon, uncordon))
        .routes(routes!(drain, undrain))
        .routes(routes!(types))
        .routes(routes!(one_type))
}

fn answer(app: &App, status: StatusCode, engine: &Resource<Engine>) -> Response {
    reply::shape(status, &engine.meta, &app.engine_shape(engine))
}

/// Adds an engine.
#[utoipa::path(post, path = "/v1/engine", tag = "engine", operation_id = "engine_create",
    request_body = wire::Engine, responses((status = 201, body = wire::Engine), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Engine>,
) -> ApiResult<Response> {
    let created = app.engine_create(&caller, shape).await?;
    Ok(answer(&app, StatusCode::CREATED, &created))
}

/// Lists the engines open to the organization, how they are and what they run; with `watch=true`,
/// follows them.
#[utoipa::path(get, path = "/v1/engine", tag = "engine", operation_id = "engine_list",
    params(ListDocumentation), responses((status = 200, body = [wire::Engine]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::engines(&app, &caller, parameters).await;
    }
    let page = app.engine_list(&caller, &parameters.query).await?;
    let shapes: Vec<_> = page.items.iter().map(|engine| app.engine_shape(engine)).collect();
    let next = page.continue_token.as_deref();
    Ok(reply::shapes_page(&parameters.path_and_query, next, &shapes))
}

/// Gets one engine.
#[utoipa::path(get, path = "/v1/engine/{name}", tag = "engine", operation_id = "engine_get",
    params(GetParameters), responses((status = 200, body = wire::Engine), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let engine = app.engine_get(&caller, &name).await?;
    reply::got_shape(&one, Engine::KIND, &engine.meta, || app.engine_shape(&engine))
}

/// Replaces what may be changed of an engine. Calls under way end on the engine as it was.
#[utoipa::path(put, path = "/v1/engine/{name}", tag = "engine", operation_id = "engine_update",
    params(PutParameters), request_body = wire::Engine,
    responses((status = 200, body = wire::Engine), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Engine>,
) -> ApiResult<Response> {
    let updated = app.engine_update(&caller, &name, shape, one.precondition).await?;
    Ok(answer(&app, StatusCode::OK, &updated))
}

/// Deletes an engine. It goes when no function is on it any more, or at once with `force=true`; a
/// warning names the functions.
#[utoipa::path(delete, path = "/v1/engine/{name}", tag = "engine", operation_id = "engine_delete",
    params(DeleteParameters), responses((status = 200, body = wire::Engine), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.engine_delete(&caller, &name, one.deletion()).await?;
    let mut response = answer(&app, StatusCode::OK, &deleted);
    if let Some(users) = deleted.meta.reason.first() {
        reply::warn(&mut response, users);
    }
    Ok(response)
}

/// Lets no new deployments onto an engine; those it has go on.
#[utoipa::path(post, path = "/v1/engine/{name}/cordon", tag = "engine",
    operation_id = "engine_cordon", params(PutParameters),
    responses((status = 200, body = wire::Engine), Problems))]
async fn cordon(
    caller: Caller,
    app: State<Arc<App>>,
    name: Path<String>,
    one: One,
) -> ApiResult<Response> {
    service(&caller, &app, &name, &one, Service::Cordoned(true)).await
}

/// Lets new deployments onto an engine again.
#[utoipa::path(delete, path = "/v1/engine/{name}/cordon", tag = "engine",
    operation_id = "engine_uncordon", params(PutParameters),
    responses((status = 200, body = wire::Engine), Problems))]
async fn uncordon(
    caller: Caller,
    app: State<Arc<App>>,
    name: Path<String>,
    one: One,
) -> ApiResult<Response> {
    service(&caller, &app, &name, &one, Service::Cordoned(false)).await
}

/// Moves all that is on an engine to others, and lets nothing new onto it.
#[utoipa::path(post, path = "/v1/engine/{name}/drain", tag = "engine",
    operation_id = "engine_drain", params(PutParameters),
    responses((status = 200, body = wire::Engine), Problems))]
async fn drain(
    caller: Caller,
    app: State<Arc<App>>,
    name: Path<String>,
    one: One,
) -> ApiResult<Response> {
    service(&caller, &app, &name, &one, Service::Draining(true)).await
}

/// Ends the draining of an engine.
#[utoipa::path(delete, path = "/v1/engine/{name}/drain", tag = "engine",
    operation_id = "engine_undrain", params(PutParameters),
    responses((status = 200, body = wire::Engine), Problems))]
async fn undrain(
    caller: Caller,
    app: State<Arc<App>>,
    name: Path<String>,
    one: One,
) -> ApiResult<Response> {
    service(&caller, &app, &name, &one, Service::Draining(false)).await
}

async fn service(
    caller: &Caller,
    app: &App,
    name: &str,
    one: &One,
    service: Service,
) -> ApiResult<Response> {
    let changed = app.engine_service(caller, name, service, one.precondition).await?;
    Ok(answer(app, StatusCode::OK, &changed))
}

/// Lists the types of engines and what may be set for each.
#[utoipa::path(get, path = "/v1/enginetype", tag = "engine", operation_id = "engine_type_list",
    responses((status = 200, body = [wire::EngineType]), Problems))]
async fn types(
    caller: Caller,
    State(app): State<Arc<App>>,
) -> ApiResult<Json<Vec<wire::EngineType>>> {
    Ok(Json(app.engine_type_list(&caller)?))
}

/// Gets one type of engines.
#[utoipa::path(get, path = "/v1/enginetype/{name}", tag = "engine",
    operation_id = "engine_type_get", params(("name" = String, Path, description = "The type.")),
    responses((status = 200, body = wire::EngineType), Problems))]
async fn one_type(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Json<wire::EngineType>> {
    Ok(Json(app.engine_type_get(&caller, &name)?))
}

//! `/v1/application`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::{DeleteParameters, GetParameters, ListDocumentation, Problems, PutParameters};
use super::query::Selectors;
use super::{Body, ListParameters, One, reply, watch};
use crate::app::{App, Caller};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates an application.
#[utoipa::path(post, path = "/v1/application", tag = "application",
    operation_id = "application_create",
    request_body = wire::Application,
    responses((status = 200, body = wire::Application), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Application>,
) -> ApiResult<Response> {
    let created = app.application_create(&caller, shape).await?;
    Ok(reply::one::<wire::Application>(StatusCode::OK, &created))
}

/// Lists applications; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/application", tag = "application",
    operation_id = "application_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::Application]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Application, _>(&app, &caller, parameters).await;
    }
    let page = app.application_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Application, _>(&parameters, page))
}

/// Gets one application.
#[utoipa::path(get, path = "/v1/application/{name}", tag = "application",
    operation_id = "application_get",
    params(GetParameters), responses((status = 200, body = wire::Application), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.application_get(&caller, &name).await?;
    reply::got::<wire::Application>(&one, &found)
}

/// Replaces an application.
#[utoipa::path(put, path = "/v1/application/{name}", tag = "application",
    operation_id = "application_update",
    params(PutParameters), request_body = wire::Application,
    responses((status = 200, body = wire::Application), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Application>,
) -> ApiResult<Response> {
    let updated = app.application_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::Application>(StatusCode::OK, &updated))
}

/// Deletes an application. What uses it goes on; a warning names it.
#[utoipa::path(delete, path = "/v1/application/{name}", tag = "application",
    operation_id = "application_delete",
    params(DeleteParameters), responses((status = 200, body = wire::Application), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.application_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::Application>(&deleted))
}

//! `/v1/api`.

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
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("function", "function"), ("tls", "tls")];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates an API.
#[utoipa::path(post, path = "/v1/api", tag = "api", operation_id = "api_create",
    request_body = wire::Api, responses((status = 200, body = wire::Api), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Api>,
) -> ApiResult<Response> {
    let created = app.api_create(&caller, shape).await?;
    Ok(reply::one::<wire::Api>(StatusCode::OK, &created))
}

/// Lists APIs; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/api", tag = "api", operation_id = "api_list",
    params(
        ListDocumentation,
        ("function" = Option<String>, Query, description = "Only APIs of this function"),
        ("tls" = Option<String>, Query, description = "Only APIs with this certificate"),
    ),
    responses((status = 200, body = [wire::Api]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Api, _>(&app, &caller, parameters).await;
    }
    let page = app.api_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Api, _>(&parameters, page))
}

/// Gets one API.
#[utoipa::path(get, path = "/v1/api/{name}", tag = "api", operation_id = "api_get",
    params(GetParameters), responses((status = 200, body = wire::Api), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.api_get(&caller, &name).await?;
    reply::got::<wire::Api>(&one, &found)
}

/// Replaces an API.
#[utoipa::path(put, path = "/v1/api/{name}", tag = "api", operation_id = "api_update",
    params(PutParameters), request_body = wire::Api,
    responses((status = 200, body = wire::Api), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Api>,
) -> ApiResult<Response> {
    let updated = app.api_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::Api>(StatusCode::OK, &updated))
}

/// Deletes an API. What uses it goes on; a warning names it.
#[utoipa::path(delete, path = "/v1/api/{name}", tag = "api", operation_id = "api_delete",
    params(DeleteParameters), responses((status = 200, body = wire::Api), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.api_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::Api>(&deleted))
}

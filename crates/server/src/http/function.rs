//! `/v1/function`.

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
        &[("image", "image"), ("engine", "engine"), ("secret", "secrets")];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates a function.
#[utoipa::path(post, path = "/v1/function", tag = "function", operation_id = "function_create",
    request_body = wire::Function, responses((status = 201, body = wire::Function), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Function>,
) -> ApiResult<Response> {
    let created = app.function_create(&caller, shape).await?;
    Ok(reply::one::<wire::Function>(StatusCode::CREATED, &created))
}

/// Lists functions; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/function", tag = "function", operation_id = "function_list",
    params(
        ListDocumentation,
        ("image" = Option<String>, Query, description = "Only functions on this image"),
        ("engine" = Option<String>, Query, description = "Only functions on this engine"),
        ("secret" = Option<String>, Query, description = "Only functions that name this secret"),
    ),
    responses((status = 200, body = [wire::Function]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Function, _>(&app, &caller, parameters).await;
    }
    let page = app.function_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Function, _>(&parameters, page))
}

/// Gets one function.
#[utoipa::path(get, path = "/v1/function/{name}", tag = "function", operation_id = "function_get",
    params(GetParameters), responses((status = 200, body = wire::Function), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.function_get(&caller, &name).await?;
    reply::got::<wire::Function>(&one, &found)
}

/// Replaces a function.
#[utoipa::path(put, path = "/v1/function/{name}", tag = "function",
    operation_id = "function_update",
    params(PutParameters), request_body = wire::Function,
    responses((status = 200, body = wire::Function), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Function>,
) -> ApiResult<Response> {
    let updated = app.function_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::Function>(StatusCode::OK, &updated))
}

/// Deletes a function. What uses it goes on; a warning names it.
#[utoipa::path(delete, path = "/v1/function/{name}", tag = "function",
    operation_id = "function_delete",
    params(DeleteParameters), responses((status = 200, body = wire::Function), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.function_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::Function>(&deleted))
}

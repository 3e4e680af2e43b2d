//! `/v1/function`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::{ListDocumentation, Problems};
use super::operations::operations;
use super::query::Selectors;
use super::{Body, ListParameters, reply, watch};
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

operations! {
    Function, "function", "/v1/function/{name}",
    get: function_get "function_get" "Gets one function.",
    update: function_update "function_update" "Replaces a function.",
    delete: function_delete "function_delete"
        "Deletes a function. What uses it goes on; a warning names it.",
}

//! `/v1/api`.

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

operations! {
    Api, "api", "/v1/api/{name}",
    get: api_get "api_get" "Gets one API.",
    update: api_update "api_update" "Replaces an API.",
    delete: api_delete "api_delete" "Deletes an API. What uses it goes on; a warning names it.",
}

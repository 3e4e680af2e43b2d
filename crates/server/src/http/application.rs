//! `/v1/application`.

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

operations! {
    Application, "application", "/v1/application/{name}",
    get: application_get "application_get" "Gets one application.",
    update: application_update "application_update" "Replaces an application.",
    delete: application_delete "application_delete"
        "Deletes an application. What uses it goes on; a warning names it.",
}

//! `/v1/iam/group`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Caller};
use crate::http::error::ApiResult;
use crate::http::openapi::{ListDocumentation, Problems};
use crate::http::operations::operations;
use crate::http::query::Selectors;
use crate::http::{Body, ListParameters, reply, watch};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates a group.
#[utoipa::path(post, path = "/v1/iam/group", tag = "iam", operation_id = "group_create",
    request_body = wire::Group, responses((status = 201, body = wire::Group), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Group>,
) -> ApiResult<Response> {
    let created = app.group_create(&caller, shape).await?;
    Ok(reply::one::<wire::Group>(StatusCode::CREATED, &created))
}

/// Lists groups; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/iam/group", tag = "iam", operation_id = "group_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::Group]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Group, _>(&app, &caller, parameters).await;
    }
    let page = app.group_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Group, _>(&parameters, page))
}

operations! {
    Group, "iam", "/v1/iam/group/{name}",
    get: group_get "group_get" "Gets one group.",
    update: group_update "group_update" "Replaces a group.",
    delete: group_delete "group_delete"
        "Deletes a group that no policy names.",
}

//! `/v1/iam/role`.

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

/// Creates a role.
#[utoipa::path(post, path = "/v1/iam/role", tag = "iam", operation_id = "role_create",
    request_body = wire::Role, responses((status = 201, body = wire::Role), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Role>,
) -> ApiResult<Response> {
    let created = app.role_create(&caller, shape).await?;
    Ok(reply::one::<wire::Role>(StatusCode::CREATED, &created))
}

/// Lists roles, first those every organization has; with `watch=true`, follows its own.
#[utoipa::path(get, path = "/v1/iam/role", tag = "iam", operation_id = "role_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::Role]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Role, _>(&app, &caller, parameters).await;
    }
    let page = app.role_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Role, _>(&parameters, page))
}

operations! {
    Role, "iam", "/v1/iam/role/{name}",
    get: role_get "role_get" "Gets one role.",
    update: role_update "role_update" "Replaces a role.",
    delete: role_delete "role_delete"
        "Deletes a role that no policy names.",
}

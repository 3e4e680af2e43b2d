//! `/v1/iam/policy`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Caller};
use crate::http::error::ApiResult;
use crate::http::openapi::{
    DeleteParameters, GetParameters, ListDocumentation, Problems, PutParameters,
};
use crate::http::query::Selectors;
use crate::http::{Body, ListParameters, One, reply, watch};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates a policy.
#[utoipa::path(post, path = "/v1/iam/policy", tag = "iam", operation_id = "policy_create",
    request_body = wire::Policy, responses((status = 201, body = wire::Policy), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Policy>,
) -> ApiResult<Response> {
    let created = app.policy_create(&caller, shape).await?;
    Ok(reply::one::<wire::Policy>(StatusCode::CREATED, &created))
}

/// Lists policies; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/iam/policy", tag = "iam", operation_id = "policy_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::Policy]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Policy, _>(&app, &caller, parameters).await;
    }
    let page = app.policy_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Policy, _>(&parameters, page))
}

/// Gets one policy.
#[utoipa::path(get, path = "/v1/iam/policy/{name}", tag = "iam", operation_id = "policy_get",
    params(GetParameters), responses((status = 200, body = wire::Policy), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.policy_get(&caller, &name).await?;
    reply::got::<wire::Policy>(&one, &found)
}

/// Replaces a policy.
#[utoipa::path(put, path = "/v1/iam/policy/{name}", tag = "iam", operation_id = "policy_update",
    params(PutParameters), request_body = wire::Policy,
    responses((status = 200, body = wire::Policy), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Policy>,
) -> ApiResult<Response> {
    let updated = app.policy_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::Policy>(StatusCode::OK, &updated))
}

/// Deletes a policy.
#[utoipa::path(delete, path = "/v1/iam/policy/{name}", tag = "iam", operation_id = "policy_delete",
    params(DeleteParameters), responses((status = 200, body = wire::Policy), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.policy_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::Policy>(&deleted))
}

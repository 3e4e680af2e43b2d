//! `/v1/iam/serviceaccount`.

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

/// Creates a service account.
#[utoipa::path(post, path = "/v1/iam/serviceaccount", tag = "iam",
    operation_id = "service_account_create",
    request_body = wire::ServiceAccount,
    responses((status = 201, body = wire::ServiceAccount), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::ServiceAccount>,
) -> ApiResult<Response> {
    let created = app.service_account_create(&caller, shape).await?;
    Ok(reply::one::<wire::ServiceAccount>(StatusCode::CREATED, &created))
}

/// Lists service accounts; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/iam/serviceaccount", tag = "iam",
    operation_id = "service_account_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::ServiceAccount]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::ServiceAccount, _>(&app, &caller, parameters).await;
    }
    let page = app.service_account_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::ServiceAccount, _>(&parameters, page))
}

/// Gets one service account.
#[utoipa::path(get, path = "/v1/iam/serviceaccount/{name}", tag = "iam",
    operation_id = "service_account_get",
    params(GetParameters), responses((status = 200, body = wire::ServiceAccount), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.service_account_get(&caller, &name).await?;
    reply::got::<wire::ServiceAccount>(&one, &found)
}

/// Replaces a service account.
#[utoipa::path(put, path = "/v1/iam/serviceaccount/{name}", tag = "iam",
    operation_id = "service_account_update",
    params(PutParameters), request_body = wire::ServiceAccount,
    responses((status = 200, body = wire::ServiceAccount), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::ServiceAccount>,
) -> ApiResult<Response> {
    let updated = app.service_account_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::ServiceAccount>(StatusCode::OK, &updated))
}

/// Deletes a service account.
#[utoipa::path(delete, path = "/v1/iam/serviceaccount/{name}", tag = "iam",
    operation_id = "service_account_delete",
    params(DeleteParameters), responses((status = 200, body = wire::ServiceAccount), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.service_account_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::ServiceAccount>(&deleted))
}

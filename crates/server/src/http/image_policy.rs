//! `/v1/imagepolicy`.

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

/// Creates an image policy.
#[utoipa::path(post, path = "/v1/imagepolicy", tag = "imagepolicy",
    operation_id = "image_policy_create",
    request_body = wire::ImagePolicy,
    responses((status = 201, body = wire::ImagePolicy), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::ImagePolicy>,
) -> ApiResult<Response> {
    let created = app.image_policy_create(&caller, shape).await?;
    Ok(reply::one::<wire::ImagePolicy>(StatusCode::CREATED, &created))
}

/// Lists image policies; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/imagepolicy", tag = "imagepolicy",
    operation_id = "image_policy_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::ImagePolicy]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::ImagePolicy, _>(&app, &caller, parameters).await;
    }
    let page = app.image_policy_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::ImagePolicy, _>(&parameters, page))
}

/// Gets one image policy.
#[utoipa::path(get, path = "/v1/imagepolicy/{name}", tag = "imagepolicy",
    operation_id = "image_policy_get",
    params(GetParameters), responses((status = 200, body = wire::ImagePolicy), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.image_policy_get(&caller, &name).await?;
    reply::got::<wire::ImagePolicy>(&one, &found)
}

/// Replaces an image policy.
#[utoipa::path(put, path = "/v1/imagepolicy/{name}", tag = "imagepolicy",
    operation_id = "image_policy_update",
    params(PutParameters), request_body = wire::ImagePolicy,
    responses((status = 200, body = wire::ImagePolicy), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::ImagePolicy>,
) -> ApiResult<Response> {
    let updated = app.image_policy_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::ImagePolicy>(StatusCode::OK, &updated))
}

/// Deletes an image policy.
#[utoipa::path(delete, path = "/v1/imagepolicy/{name}", tag = "imagepolicy",
    operation_id = "image_policy_delete",
    params(DeleteParameters), responses((status = 200, body = wire::ImagePolicy), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.image_policy_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::ImagePolicy>(&deleted))
}

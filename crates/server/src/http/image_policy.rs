//! `/v1/imagepolicy`.

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

operations! {
    ImagePolicy, "imagepolicy", "/v1/imagepolicy/{name}",
    get: image_policy_get "image_policy_get" "Gets one image policy.",
    update: image_policy_update "image_policy_update" "Replaces an image policy.",
    delete: image_policy_delete "image_policy_delete" "Deletes an image policy.",
}

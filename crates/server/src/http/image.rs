//! `/v1/image`.

use std::sync::Arc;

use axum::extract::{Path, State};
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
        &[("language", "language"), ("baseImageName", "base_image_name")];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(rebuild))
}

/// Creates an image.
#[utoipa::path(post, path = "/v1/image", tag = "image", operation_id = "image_create",
    request_body = wire::Image, responses((status = 201, body = wire::Image), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Image>,
) -> ApiResult<Response> {
    let created = app.image_create(&caller, shape).await?;
    Ok(reply::one::<wire::Image>(StatusCode::CREATED, &created))
}

/// Lists images; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/image", tag = "image", operation_id = "image_list",
    params(
        ListDocumentation,
        ("language" = Option<String>, Query, description = "Only images of this language"),
        ("baseImageName" = Option<String>, Query, description = "Only images on this base image"),
    ),
    responses((status = 200, body = [wire::Image]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Image, _>(&app, &caller, parameters).await;
    }
    let page = app.image_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Image, _>(&parameters, page))
}

operations! {
    Image, "image", "/v1/image/{name}",
    get: image_get "image_get" "Gets one image.",
    update: image_update "image_update" "Replaces an image.",
    delete: image_delete "image_delete"
        "Deletes an image. What uses it goes on; a warning names it.",
}

/// Builds an image again, with the packages that mirrors have now; functions on it follow.
///
/// Without that, packages named without a version stay those that were found first.
#[utoipa::path(post, path = "/v1/image/{name}/rebuild", tag = "image",
    operation_id = "image_rebuild",
    responses((status = 202, body = wire::Image), Problems))]
async fn rebuild(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Response> {
    let image = app.image_rebuild(&caller, &name).await?;
    Ok(reply::one::<wire::Image>(StatusCode::ACCEPTED, &image))
}

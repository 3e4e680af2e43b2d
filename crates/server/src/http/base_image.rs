//! `/v1/baseimage`.

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
    const FIELDS: &'static [(&'static str, &'static str)] = &[("language", "language")];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates a base image.
#[utoipa::path(post, path = "/v1/baseimage", tag = "baseimage", operation_id = "base_image_create",
    request_body = wire::BaseImage, responses((status = 201, body = wire::BaseImage), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::BaseImage>,
) -> ApiResult<Response> {
    let created = app.base_image_create(&caller, shape).await?;
    Ok(reply::one::<wire::BaseImage>(StatusCode::CREATED, &created))
}

/// Lists base images; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/baseimage", tag = "baseimage", operation_id = "base_image_list",
    params(
        ListDocumentation,
        ("language" = Option<String>, Query, description = "Only base images of this language"),
    ),
    responses((status = 200, body = [wire::BaseImage]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::BaseImage, _>(&app, &caller, parameters).await;
    }
    let page = app.base_image_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::BaseImage, _>(&parameters, page))
}

/// Gets one base image.
#[utoipa::path(get, path = "/v1/baseimage/{name}", tag = "baseimage",
    operation_id = "base_image_get",
    params(GetParameters), responses((status = 200, body = wire::BaseImage), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.base_image_get(&caller, &name).await?;
    reply::got::<wire::BaseImage>(&one, &found)
}

/// Replaces a base image.
#[utoipa::path(put, path = "/v1/baseimage/{name}", tag = "baseimage",
    operation_id = "base_image_update",
    params(PutParameters), request_body = wire::BaseImage,
    responses((status = 200, body = wire::BaseImage), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::BaseImage>,
) -> ApiResult<Response> {
    let updated = app.base_image_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::BaseImage>(StatusCode::OK, &updated))
}

/// Deletes a base image. What uses it goes on; a warning names it.
#[utoipa::path(delete, path = "/v1/baseimage/{name}", tag = "baseimage",
    operation_id = "base_image_delete",
    params(DeleteParameters), responses((status = 200, body = wire::BaseImage), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.base_image_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::BaseImage>(&deleted))
}

//! `/v1/baseimage`.

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

operations! {
    BaseImage, "baseimage", "/v1/baseimage/{name}",
    get: base_image_get "base_image_get" "Gets one base image.",
    update: base_image_update "base_image_update" "Replaces a base image.",
    delete: base_image_delete "base_image_delete"
        "Deletes a base image. What uses it goes on; a warning names it.",
}

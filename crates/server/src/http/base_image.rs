//! `/v1/baseimage`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations::{collection, operations};
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    BaseImage, "baseimage", "/v1/baseimage", {
        "language" "Only base images of this language"
    },
    create: base_image_create 201 CREATED "base_image_create" "Creates a base image.",
    list: base_image_list "base_image_list"
        "Lists base images; with `watch=true`, follows them.",
}

operations! {
    BaseImage, "baseimage", "/v1/baseimage/{name}",
    get: base_image_get "base_image_get" "Gets one base image.",
    update: base_image_update "base_image_update" "Replaces a base image.",
    delete: base_image_delete "base_image_delete"
        "Deletes a base image. What uses it goes on; a warning names it.",
}

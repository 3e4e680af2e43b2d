//! `/v1/imagepolicy`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations::{collection, operations};
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    ImagePolicy, "imagepolicy", "/v1/imagepolicy", {},
    create: image_policy_create 201 CREATED "image_policy_create" "Creates an image policy.",
    list: image_policy_list "image_policy_list"
        "Lists image policies; with `watch=true`, follows them.",
}

operations! {
    ImagePolicy, "imagepolicy", "/v1/imagepolicy/{name}",
    get: image_policy_get "image_policy_get" "Gets one image policy.",
    update: image_policy_update "image_policy_update" "Replaces an image policy.",
    delete: image_policy_delete "image_policy_delete" "Deletes an image policy.",
}

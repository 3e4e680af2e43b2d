//! `/v1/iam/group`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::operations::{collection, operations};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    Group, "iam", "/v1/iam/group", {},
    create: group_create 201 CREATED "group_create" "Creates a group.",
    list: group_list "group_list"
        "Lists groups; with `watch=true`, follows them.",
}

operations! {
    Group, "iam", "/v1/iam/group/{name}",
    get: group_get "group_get" "Gets one group.",
    update: group_update "group_update" "Replaces a group.",
    delete: group_delete "group_delete"
        "Deletes a group that no policy names.",
}

//! `/v1/iam/role`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::operations::{collection, operations};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    Role, "iam", "/v1/iam/role", {},
    create: role_create 201 CREATED "role_create" "Creates a role.",
    list: role_list "role_list"
        "Lists roles, first those every organization has; with `watch=true`, follows its own.",
}

operations! {
    Role, "iam", "/v1/iam/role/{name}",
    get: role_get "role_get" "Gets one role.",
    update: role_update "role_update" "Replaces a role.",
    delete: role_delete "role_delete"
        "Deletes a role that no policy names.",
}

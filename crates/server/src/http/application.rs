//! `/v1/application`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations::{collection, operations};
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    Application, "application", "/v1/application", {},
    create: application_create 200 OK "application_create" "Creates an application.",
    list: application_list "application_list"
        "Lists applications; with `watch=true`, follows them.",
}

operations! {
    Application, "application", "/v1/application/{name}",
    get: application_get "application_get" "Gets one application.",
    update: application_update "application_update" "Replaces an application.",
    delete: application_delete "application_delete"
        "Deletes an application. What uses it goes on; a warning names it.",
}

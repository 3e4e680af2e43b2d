//! `/v1/api`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations::{collection, operations};
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    Api, "api", "/v1/api", {
        "function" "Only APIs of this function",
        "tls" "Only APIs with this certificate"
    },
    create: api_create 200 OK "api_create" "Creates an API.",
    list: api_list "api_list"
        "Lists APIs; with `watch=true`, follows them.",
}

operations! {
    Api, "api", "/v1/api/{name}",
    get: api_get "api_get" "Gets one API.",
    update: api_update "api_update" "Replaces an API.",
    delete: api_delete "api_delete" "Deletes an API. What uses it goes on; a warning names it.",
}

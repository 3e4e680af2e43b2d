//! `/v1/iam/serviceaccount`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::operations::{collection, operations};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    ServiceAccount, "iam", "/v1/iam/serviceaccount", {},
    create: service_account_create 201 CREATED "service_account_create"
        "Creates a service account.",
    list: service_account_list "service_account_list"
        "Lists service accounts; with `watch=true`, follows them.",
}

operations! {
    ServiceAccount, "iam", "/v1/iam/serviceaccount/{name}",
    get: service_account_get "service_account_get" "Gets one service account.",
    update: service_account_update "service_account_update" "Replaces a service account.",
    delete: service_account_delete "service_account_delete" "Deletes a service account.",
}

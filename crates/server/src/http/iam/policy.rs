//! `/v1/iam/policy`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::operations::{collection, operations};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

collection! {
    Policy, "iam", "/v1/iam/policy", {
        "role" "Only policies that name this role",
        "group" "Only policies that name this group"
    },
    create: policy_create 201 CREATED "policy_create" "Creates a policy.",
    list: policy_list "policy_list"
        "Lists policies; with `watch=true`, follows them.",
}

operations! {
    Policy, "iam", "/v1/iam/policy/{name}",
    get: policy_get "policy_get" "Gets one policy.",
    update: policy_update "policy_update" "Replaces a policy.",
    delete: policy_delete "policy_delete" "Deletes a policy.",
}

//! `/v1/iam/policy`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Caller};
use crate::http::error::ApiResult;
use crate::http::openapi::{ListDocumentation, Problems};
use crate::http::operations::operations;
use crate::http::query::Selectors;
use crate::http::{Body, ListParameters, reply, watch};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[("role", "role"), ("group", "group")];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates a policy.
#[utoipa::path(post, path = "/v1/iam/policy", tag = "iam", operation_id = "policy_create",
    request_body = wire::Policy, responses((status = 201, body = wire::Policy), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Policy>,
) -> ApiResult<Response> {
    let created = app.policy_create(&caller, shape).await?;
    Ok(reply::one::<wire::Policy>(StatusCode::CREATED, &created))
}

/// Lists policies; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/iam/policy", tag = "iam", operation_id = "policy_list",
    params(
        ListDocumentation,
        ("role" = Option<String>, Query, description = "Only policies that name this role"),
        ("group" = Option<String>, Query, description = "Only policies that name this group"),
    ),
    responses((status = 200, body = [wire::Policy]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Policy, _>(&app, &caller, parameters).await;
    }
    let page = app.policy_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Policy, _>(&parameters, page))
}

operations! {
    Policy, "iam", "/v1/iam/policy/{name}",
    get: policy_get "policy_get" "Gets one policy.",
    update: policy_update "policy_update" "Replaces a policy.",
    delete: policy_delete "policy_delete" "Deletes a policy.",
}

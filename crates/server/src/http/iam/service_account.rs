//! `/v1/iam/serviceaccount`.

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
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates a service account.
#[utoipa::path(post, path = "/v1/iam/serviceaccount", tag = "iam",
    operation_id = "service_account_create",
    request_body = wire::ServiceAccount,
    responses((status = 201, body = wire::ServiceAccount), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::ServiceAccount>,
) -> ApiResult<Response> {
    let created = app.service_account_create(&caller, shape).await?;
    Ok(reply::one::<wire::ServiceAccount>(StatusCode::CREATED, &created))
}

/// Lists service accounts; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/iam/serviceaccount", tag = "iam",
    operation_id = "service_account_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::ServiceAccount]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::ServiceAccount, _>(&app, &caller, parameters).await;
    }
    let page = app.service_account_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::ServiceAccount, _>(&parameters, page))
}

operations! {
    ServiceAccount, "iam", "/v1/iam/serviceaccount/{name}",
    get: service_account_get "service_account_get" "Gets one service account.",
    update: service_account_update "service_account_update" "Replaces a service account.",
    delete: service_account_delete "service_account_delete" "Deletes a service account.",
}

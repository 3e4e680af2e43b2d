//! `/v1/iam/organization`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_model::Violation;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Caller, Error};
use crate::http::error::ApiResult;
use crate::http::openapi::{ListDocumentation, Problems};
use crate::http::operations::operations;
use crate::http::query::Selectors;
use crate::http::{Body, ListParameters, reply};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Creates an organization.
#[utoipa::path(post, path = "/v1/iam/organization", tag = "iam",
    operation_id = "organization_create",
    request_body = wire::Organization,
    responses((status = 201, body = wire::Organization), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Organization>,
) -> ApiResult<Response> {
    let created = app.organization_create(&caller, shape).await?;
    Ok(reply::one::<wire::Organization>(StatusCode::CREATED, &created))
}

/// Lists organizations.
#[utoipa::path(get, path = "/v1/iam/organization", tag = "iam", operation_id = "organization_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::Organization]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return Err(
            Error::from(Violation::new("watch", "is not possible for organizations")).into()
        );
    }
    let page = app.organization_list(&caller, &parameters.query).await?;
    Ok(reply::page::<wire::Organization, _>(&parameters, page))
}

operations! {
    Organization, "iam", "/v1/iam/organization/{name}",
    get: organization_get "organization_get" "Gets one organization.",
    update: organization_update "organization_update" "Replaces an organization.",
    delete: organization_delete "organization_delete" "Deletes an organization.",
}

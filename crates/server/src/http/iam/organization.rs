//! `/v1/iam/organization`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_model::Violation;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Caller, Error};
use crate::http::error::ApiResult;
use crate::http::openapi::{
    DeleteParameters, GetParameters, ListDocumentation, Problems, PutParameters,
};
use crate::http::query::Selectors;
use crate::http::{Body, ListParameters, One, reply};

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

/// Gets one organization.
#[utoipa::path(get, path = "/v1/iam/organization/{name}", tag = "iam",
    operation_id = "organization_get",
    params(GetParameters), responses((status = 200, body = wire::Organization), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let found = app.organization_get(&caller, &name).await?;
    reply::got::<wire::Organization>(&one, &found)
}

/// Replaces an organization.
#[utoipa::path(put, path = "/v1/iam/organization/{name}", tag = "iam",
    operation_id = "organization_update",
    params(PutParameters), request_body = wire::Organization,
    responses((status = 200, body = wire::Organization), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Organization>,
) -> ApiResult<Response> {
    let updated = app.organization_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<wire::Organization>(StatusCode::OK, &updated))
}

/// Deletes an organization.
#[utoipa::path(delete, path = "/v1/iam/organization/{name}", tag = "iam",
    operation_id = "organization_delete",
    params(DeleteParameters), responses((status = 200, body = wire::Organization), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let deleted = app.organization_delete(&caller, &name, one.deletion()).await?;
    Ok(reply::deleted::<wire::Organization>(&deleted))
}

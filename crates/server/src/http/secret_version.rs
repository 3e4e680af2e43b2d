//! `/v1/secret/{name}/versions`, going back to one, and who read a secret. Additions to v1, none of
//! which answers values.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::{GetParameters, Problems, PutParameters};
use super::{Body, One, reply};
use crate::app::{App, Caller};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(rollback)).routes(routes!(uses))
}

/// Lists the versions of a secret that are kept, the newest first, without their values.
#[utoipa::path(get, path = "/v1/secret/{name}/versions", tag = "secret",
    operation_id = "secret_version_list", params(GetParameters),
    responses((status = 200, body = [wire::SecretVersion]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Json<Vec<wire::SecretVersion>>> {
    Ok(Json(app.secret_versions(&caller, &name).await?))
}

/// Makes a new version with the content of an old one.
#[utoipa::path(post, path = "/v1/secret/{name}/rollback", tag = "secret",
    operation_id = "secret_rollback", params(PutParameters), request_body = wire::SecretRollback,
    responses((status = 200, body = wire::Secret), Problems))]
async fn rollback(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(asked): Body<wire::SecretRollback>,
) -> ApiResult<Response> {
    let secret = app.secret_rollback(&caller, &name, asked, one.precondition).await?;
    let shape = wire::Secret::with_values(&secret, BTreeMap::new()).numbered(&secret);
    Ok(reply::shape(StatusCode::OK, &secret.meta, &shape))
}

/// Lists the newest runs that read a secret: of the last 200 runs of each function that names it,
/// and of the last 2,000 of the organization.
#[utoipa::path(get, path = "/v1/secret/{name}/uses", tag = "secret",
    operation_id = "secret_uses", params(GetParameters),
    responses((status = 200, body = [wire::SecretReader]), Problems))]
async fn uses(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Json<Vec<wire::SecretReader>>> {
    Ok(Json(app.secret_uses(&caller, &name).await?))
}

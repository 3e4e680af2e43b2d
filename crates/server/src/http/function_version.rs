//! `/v1/function/{name}/version` and what steers versions. Additions to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use dispatch_model::Violation;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use super::{Body, One, reply};
use crate::app::{App, Caller};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(rollout))
        .routes(routes!(promote))
        .routes(routes!(undo))
        .routes(routes!(placement))
}

/// Lists the versions of a function, the newest first.
#[utoipa::path(get, path = "/v1/function/{name}/version", tag = "function",
    operation_id = "version_list",
    responses((status = 200, body = [wire::FunctionVersion]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Json<Vec<wire::FunctionVersion>>> {
    Ok(Json(app.version_list(&caller, &name).await?))
}

/// Gets one version of a function.
#[utoipa::path(get, path = "/v1/function/{name}/version/{version}", tag = "function",
    operation_id = "version_get",
    responses((status = 200, body = wire::FunctionVersion), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
) -> ApiResult<Json<wire::FunctionVersion>> {
    let number = version.parse();
    let number = number
        .map_err(|_| Violation::new("version", format!("{version:?} is no number from 1")))?;
    Ok(Json(app.version_get(&caller, &name, number).await?))
}

/// Has a version of a function take calls, all or a share of them, or gives it a name.
#[utoipa::path(post, path = "/v1/function/{name}/rollout", tag = "function",
    operation_id = "rollout", request_body = wire::Rollout,
    responses((status = 202, body = wire::Function), Problems))]
async fn rollout(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(asked): Body<wire::Rollout>,
) -> ApiResult<Response> {
    let function = app.rollout(&caller, &name, asked, one.precondition).await?;
    Ok(reply::one::<wire::Function>(StatusCode::ACCEPTED, &function))
}

/// Has all calls go to the version on trial.
#[utoipa::path(post, path = "/v1/function/{name}/promote", tag = "function",
    operation_id = "promote", responses((status = 202, body = wire::Function), Problems))]
async fn promote(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let function = app.promote(&caller, &name, one.precondition).await?;
    Ok(reply::one::<wire::Function>(StatusCode::ACCEPTED, &function))
}

/// Ends a trial; without one, goes back to the version that took calls before.
#[utoipa::path(post, path = "/v1/function/{name}/undo", tag = "function",
    operation_id = "undo", responses((status = 202, body = wire::Function), Problems))]
async fn undo(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let function = app.undo(&caller, &name, one.precondition).await?;
    Ok(reply::one::<wire::Function>(StatusCode::ACCEPTED, &function))
}

/// Says how the next call of a function would be decided, by the server that answers, and why each
/// engine that is not chosen is passed over.
#[utoipa::path(get, path = "/v1/function/{name}/placement", tag = "function",
    operation_id = "placement_get",
    responses((status = 200, body = wire::PlacementReport), Problems))]
async fn placement(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Json<wire::PlacementReport>> {
    Ok(Json(app.placement_get(&caller, &name).await?))
}

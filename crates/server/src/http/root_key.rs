//! `/v1/rootkey`: the keys secrets are sealed with, and the change of them. An addition to v1,
//! which never answers a key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use crate::app::{App, Caller};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(rotate)).routes(routes!(drop_old))
}

/// Tells which root keys there are, what is sealed with each, and how far a change is.
#[utoipa::path(get, path = "/v1/rootkey", tag = "rootkey", operation_id = "root_key_get",
    responses((status = 200, body = wire::RootKeys), Problems))]
async fn get(caller: Caller, State(app): State<Arc<App>>) -> ApiResult<Json<wire::RootKeys>> {
    Ok(Json(app.root_key_get(&caller).await?))
}

/// Makes a new root key and seals everything anew in the background. Where an earlier change did
/// not come to its end, goes on with it.
#[utoipa::path(post, path = "/v1/rootkey/rotate", tag = "rootkey",
    operation_id = "root_key_rotate",
    responses((status = 202, body = wire::RootKeys), Problems))]
async fn rotate(
    caller: Caller,
    State(app): State<Arc<App>>,
) -> ApiResult<(StatusCode, Json<wire::RootKeys>)> {
    Ok((StatusCode::ACCEPTED, Json(app.root_key_rotate(&caller).await?)))
}

/// Drops the old root keys; refused while anything is sealed with one of them.
#[utoipa::path(delete, path = "/v1/rootkey/old", tag = "rootkey",
    operation_id = "root_key_drop_old",
    responses((status = 200, body = wire::RootKeys), Problems))]
async fn drop_old(caller: Caller, State(app): State<Arc<App>>) -> ApiResult<Json<wire::RootKeys>> {
    Ok(Json(app.root_key_drop_old(&caller).await?))
}

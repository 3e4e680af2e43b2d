//! `/v1/engine`: what the engines of this server can do. An addition to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use crate::app::engine::Engine;
use crate::app::{App, Caller};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the engines, their languages, and what the machine lacks for them.
#[utoipa::path(get, path = "/v1/engine", tag = "engine", operation_id = "engine_list",
    responses((status = 200, body = [Engine]), Problems))]
async fn list(caller: Caller, State(app): State<Arc<App>>) -> ApiResult<Json<Vec<Engine>>> {
    Ok(Json(app.engine_list(&caller).await?))
}

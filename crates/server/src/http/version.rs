//! `/v1/version`.

use std::sync::Arc;

use axum::Json;
use dispatch_wire::Version;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(version))
}

/// What this server is. Needs no credentials.
#[utoipa::path(get, path = "/v1/version", tag = "server", operation_id = "version",
    responses((status = 200, body = Version)), security(()))]
async fn version() -> Json<Version> {
    Json(crate::boot::version())
}

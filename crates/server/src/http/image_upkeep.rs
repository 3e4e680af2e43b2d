//! `/v1/prune`: content that nothing needs is let go; `/v1/signingkey`: the key that signs images.
//! Additions to v1.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use dispatch_wire as wire;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use super::query::Parameters;
use crate::app::{App, Caller};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(prune)).routes(routes!(signing_key))
}

/// What is let go.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only tell what would be deleted.
    dry_run: Option<bool>,
    /// Only what is older, in seconds; 3600 unless it is given. What is younger may be of a build
    /// that nobody has written down yet.
    min_age: Option<u64>,
}

const MIN_AGE: u64 = 3_600;

/// Deletes layers and documents that nothing needs from the disk of the server that answers.
#[utoipa::path(post, path = "/v1/prune", tag = "image", operation_id = "prune",
    params(Asked), responses((status = 200, body = wire::Pruned), Problems))]
async fn prune(
    caller: Caller,
    State(app): State<Arc<App>>,
    Parameters(asked): Parameters<Asked>,
) -> ApiResult<Json<wire::Pruned>> {
    let dry_run = asked.dry_run.unwrap_or(false);
    let min_age = Duration::from_secs(asked.min_age.unwrap_or(MIN_AGE));
    let pruned = app.prune(&caller, min_age, dry_run).await?;
    let (blobs, layers, bytes) = (pruned.blobs, pruned.layers, pruned.bytes);
    Ok(Json(wire::Pruned { blobs, layers, bytes, dry_run }))
}

/// The public key (PEM) that signs the images of this installation: `cosign verify --key` takes it.
#[utoipa::path(get, path = "/v1/signingkey", tag = "image", operation_id = "signing_key",
    responses((status = 200, body = String, content_type = "application/x-pem-file"), Problems))]
async fn signing_key(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, "application/x-pem-file")], app.contents.signing_key()).into_response()
}

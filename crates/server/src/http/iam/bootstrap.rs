//! `/v1/iam/bootstrap`: the way into a new installation.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Caller, Error};
use crate::authn::{bearer, one_time};
use crate::http::Body;
use crate::http::error::ApiResult;
use crate::http::openapi::Problems;
use crate::http::request_id::RequestId;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(claim, disable))
}

/// Puts a public key in the place of the one-time credential, which is sent as a bearer token.
///
/// Tokens signed with the key, whose `iss` is `bootstrap`, are the bootstrap user's for ten
/// minutes.
#[utoipa::path(post, path = "/v1/iam/bootstrap", tag = "iam", operation_id = "bootstrap_claim",
    request_body = wire::BootstrapClaim,
    responses((status = 201, body = wire::BootstrapUser), Problems))]
async fn claim(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    Body(shape): Body<wire::BootstrapClaim>,
) -> ApiResult<(StatusCode, Json<wire::BootstrapUser>)> {
    let credential = bearer(&headers)?.ok_or_else(|| Error::Unauthenticated {
        message: "send the bootstrap credential as `Authorization: Bearer CREDENTIAL`".to_owned(),
    })?;
    let expires_ms = app.bootstrap_claim(peer.ip(), &id, credential, &shape.public_key).await?;
    let issuer = one_time::ISSUER.to_owned();
    Ok((StatusCode::CREATED, Json(wire::BootstrapUser { issuer, expires: expires_ms / 1_000 })))
}

/// Ends the one-time credential and the key that took its place.
#[utoipa::path(delete, path = "/v1/iam/bootstrap", tag = "iam",
    operation_id = "bootstrap_disable",
    responses((status = 204, description = "Both are no longer accepted."), Problems))]
async fn disable(caller: Caller, State(app): State<Arc<App>>) -> ApiResult<StatusCode> {
    app.bootstrap_disable(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

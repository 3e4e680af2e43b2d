//! `/v1/iam`: who may do what, and the question an external proxy asks.

pub mod bootstrap;
pub mod can_i;
mod cookies;
pub mod group;
pub mod oauth2;
pub mod organization;
mod page;
pub mod policy;
pub mod role;
pub mod service_account;
pub mod session;
mod target;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiResult, Failure};
use super::openapi::Problems;
use crate::app::{App, Caller, Error};
use crate::authn::ORGANIZATION_HEADER;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(bootstrap::routes())
        .merge(organization::routes())
        .merge(policy::routes())
        .merge(role::routes())
        .merge(group::routes())
        .merge(can_i::routes())
        .merge(service_account::routes())
        .merge(session::routes())
        .merge(oauth2::routes())
        .routes(routes!(auth))
}

/// Whether the request a proxy describes would be allowed: its path in
/// `X-Auth-Request-Redirect`, its method in `X-Original-Method`.
#[utoipa::path(get, path = "/v1/iam/auth", tag = "iam", operation_id = "iam_auth", params(
        ("X-Auth-Request-Redirect" = Option<String>, Header, description = "Path and query."),
        ("X-Original-Method" = Option<String>, Header, description = "Method; GET when absent."),
    ), responses((status = 202, description = "Allowed; X-Dispatch-Org names the organization."),
        Problems))]
async fn auth(
    caller: Result<Caller, Failure>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let caller = caller.map_err(|Failure(error)| match error {
        // A proxy knows 401 and 403 only.
        Error::Invalid(violation) => Error::Forbidden {
            subject: "nobody".to_owned(),
            action: "get",
            resource: "(anything)",
            name: None,
            org: violation.to_string(),
        },
        other => other,
    })?;
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (path, method) = (text("x-auth-request-redirect"), text("x-original-method"));
    let method = if method.is_empty() { "GET" } else { method };
    // The question itself only reads: what counts for a cookie is what is asked about.
    let asked = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
    app.authn.token(&headers, &asked)?;
    app.may_request(&caller, method, path)?;
    let org = HeaderValue::from_str(caller.org.as_str()).map_err(Error::internal)?;
    let header = HeaderName::from_static(ORGANIZATION_HEADER);
    Ok((StatusCode::ACCEPTED, [(header, org)]).into_response())
}

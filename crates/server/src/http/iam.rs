//! `/v1/iam`: who may do what, and the question an external proxy asks.

pub mod bootstrap;
pub mod can_i;
pub mod group;
pub mod organization;
pub mod policy;
pub mod role;
pub mod service_account;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use dispatch_model::code;
use dispatch_wire::ErrorBody;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiResult, Failure, plain};
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
        .routes(routes!(auth))
        .routes(routes!(oauth2_start))
        .routes(routes!(redirect))
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
    app.may_request(&caller, if method.is_empty() { "GET" } else { method }, path)?;
    let org = HeaderValue::from_str(caller.org.as_str()).map_err(Error::internal)?;
    let header = HeaderName::from_static(ORGANIZATION_HEADER);
    Ok((StatusCode::ACCEPTED, [(header, org)]).into_response())
}

/// Begins the sign-in of a browser. Without a provider of identities there is none.
#[utoipa::path(get, path = "/v1/iam/oauth2/start", tag = "iam", operation_id = "iam_oauth2_start",
    params(("rd" = Option<String>, Query, description = "Where to go after it.")),
    responses((status = 501, body = ErrorBody)), security(()))]
async fn oauth2_start() -> Response {
    no_browsers()
}

/// Hands the session of a signed-in browser to the CLI. Without sign-in there is no session.
#[utoipa::path(get, path = "/v1/iam/redirect", tag = "iam", operation_id = "iam_redirect",
    params(("redirect" = Option<String>, Query, description = "Where the CLI waits for it.")),
    responses((status = 501, body = ErrorBody)), security(()))]
async fn redirect() -> Response {
    no_browsers()
}

fn no_browsers() -> Response {
    let message = "browsers cannot sign in here, for the server knows no OpenID Connect provider; \
                   sign in with a service account";
    plain(StatusCode::NOT_IMPLEMENTED, code::IAM003, message)
}

//! `/v1/iam/session` and `/v1/iam/identityprovider`: sign-in without a browser of its own, and the
//! sessions there are. Additions to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use dispatch_model::session::SessionClient;
use dispatch_wire as wire;
use dispatch_wire::FromModel as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::sign_in::Device;
use crate::app::{App, Caller};
use crate::http::error::ApiResult;
use crate::http::openapi::{GetParameters, ListDocumentation, Problems};
use crate::http::origin::Origin;
use crate::http::query::Selectors;
use crate::http::{Body, ListParameters, One, reply, watch};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

/// By how much a device asks more slowly when it is told to (RFC 8628, 3.5), in seconds.
const SLOWER_S: u64 = 5;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(providers))
        .routes(routes!(create, list))
        .routes(routes!(device))
        .routes(routes!(get, delete))
}

/// Lists what one can sign in with.
#[utoipa::path(get, path = "/v1/iam/identityprovider", tag = "iam",
    operation_id = "identity_provider_list",
    responses((status = 200, body = [wire::IdentityProvider])), security(()))]
async fn providers(State(app): State<Arc<App>>) -> Json<Vec<wire::IdentityProvider>> {
    Json(app.identity_providers())
}

/// Begins a session: by name and password, by what a browser brought back, by a device's code, or
/// as a service account by a token of an issuer it trusts.
#[utoipa::path(post, path = "/v1/iam/session", tag = "iam", operation_id = "session_create",
    request_body = wire::SignIn,
    responses((status = 201, body = wire::SignedIn),
        (status = 202, body = wire::DeviceWaiting, description = "The person has not answered."),
        Problems), security(()))]
async fn create(
    State(app): State<Arc<App>>,
    origin: Origin,
    Body(shape): Body<wire::SignIn>,
) -> ApiResult<Response> {
    let client = match shape.service_account {
        Some(_) => SessionClient::Program,
        None => SessionClient::CommandLine,
    };
    Ok(match app.sign_in(origin.opening(client), shape).await? {
        Device::Began(began) => {
            let session = wire::Session::from_model(&began.session);
            let token = began.token.reveal().to_owned();
            (StatusCode::CREATED, Json(wire::SignedIn { token, session })).into_response()
        }
        Device::Waiting { slower } => {
            let slower = if slower { SLOWER_S } else { 0 };
            (StatusCode::ACCEPTED, Json(wire::DeviceWaiting { slower })).into_response()
        }
    })
}

/// Begins the sign-in of a device without a browser (RFC 8628).
#[utoipa::path(post, path = "/v1/iam/session/device", tag = "iam",
    operation_id = "session_device", request_body = wire::DeviceSignIn,
    responses((status = 201, body = wire::DeviceCode), Problems), security(()))]
async fn device(
    State(app): State<Arc<App>>,
    origin: Origin,
    Body(shape): Body<wire::DeviceSignIn>,
) -> ApiResult<(StatusCode, Json<wire::DeviceCode>)> {
    let opening = origin.opening(SessionClient::CommandLine);
    let code = app.sign_in_device_begin(&opening, &shape.provider).await?;
    Ok((StatusCode::CREATED, Json(code)))
}

/// Lists sessions: one's own, and those one may read by the right to iam; with `watch=true`,
/// follows the latter.
#[utoipa::path(get, path = "/v1/iam/session", tag = "iam", operation_id = "session_list",
    params(ListDocumentation),
    responses((status = 200, body = [wire::Session]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<wire::Session, _>(&app, &caller, parameters).await;
    }
    let page = app.session_list(&caller, &parameters.query).await?;
    let shape = |session| shape(&app, &caller, session);
    let shapes: Vec<_> = page.items.iter().map(shape).collect();
    let next = page.continue_token.as_deref();
    Ok(reply::shapes_page(&parameters.path_and_query, next, &shapes))
}

/// Gets one session; `current` is the one the request is made with.
#[utoipa::path(get, path = "/v1/iam/session/{name}", tag = "iam", operation_id = "session_get",
    params(GetParameters), responses((status = 200, body = wire::Session), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let session = app.session_get(&caller, &name).await?;
    let kind = dispatch_model::ResourceKind::Session;
    reply::got_shape(&one, kind, &session.meta, || shape(&app, &caller, &session))
}

/// Ends a session; `current` signs out.
#[utoipa::path(delete, path = "/v1/iam/session/{name}", tag = "iam",
    operation_id = "session_delete",
    responses((status = 200, body = wire::SignedOut), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<Json<wire::SignedOut>> {
    let logout_url = app.session_delete(&caller, &name).await?;
    Ok(Json(wire::SignedOut { logout_url }))
}

fn shape(
    app: &App,
    caller: &Caller,
    session: &dispatch_model::Resource<dispatch_model::session::Session>,
) -> wire::Session {
    let current = app.is_current(caller, session);
    wire::Session { current, ..wire::Session::from_model(session) }
}

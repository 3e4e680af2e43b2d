//! `/v1/secret`. Values go out only to one who asks for one secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dispatch_model::{Kind, Resource, secret::Secret};
use dispatch_wire as wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::{
    DeleteParameters, ListDocumentation, Problems, PutParameters, SecretParameters,
};
use super::query::Selectors;
use super::{Body, ListParameters, One, reply, watch};
use crate::app::secret::SecretQuery;
use crate::app::{App, Caller};

pub struct Fields;

impl Selectors for Fields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// A secret without its values, as lists and changes answer it.
pub struct Bare(wire::Secret);

impl wire::FromModel for Bare {
    type Kind = Secret;

    fn from_model(resource: &Resource<Secret>) -> Self {
        Self(wire::Secret::with_values(resource, BTreeMap::new()))
    }
}

impl serde::Serialize for Bare {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Creates a secret. The answer does not repeat the values.
#[utoipa::path(post, path = "/v1/secret", tag = "secret", operation_id = "secret_create",
    request_body = wire::Secret, responses((status = 201, body = wire::Secret), Problems))]
async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(shape): Body<wire::Secret>,
) -> ApiResult<Response> {
    let created = app.secret_create(&caller, shape).await?;
    Ok(reply::one::<Bare>(StatusCode::CREATED, &created))
}

/// Lists secrets without their values; with `watch=true`, follows them.
#[utoipa::path(get, path = "/v1/secret", tag = "secret", operation_id = "secret_list",
    params(ListDocumentation), responses((status = 200, body = [wire::Secret]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    parameters: ListParameters<Fields>,
) -> ApiResult<Response> {
    if parameters.watch {
        return watch::watch::<Bare, _>(&app, &caller, parameters).await;
    }
    let page = app.secret_list(&caller, &parameters.query).await?;
    Ok(reply::page::<Bare, _>(&parameters, page))
}

/// Gets one secret with its values. Those that are kept elsewhere are left out unless `read=true`
/// asks for them.
#[utoipa::path(get, path = "/v1/secret/{name}", tag = "secret", operation_id = "secret_get",
    params(SecretParameters), responses((status = 200, body = wire::Secret), Problems))]
async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let query = SecretQuery { version: one.version, read: one.read };
    let (secret, values) = app.secret_get(&caller, &name, query).await?;
    let shape = || match one.version {
        Some(_) => wire::Secret::with_values(&secret, values).numbered(&secret),
        None => wire::Secret::with_values(&secret, values),
    };
    reply::got_shape(&one, Secret::KIND, &secret.meta, shape)
}

/// Replaces the values of a secret. Answers 201, as v1 did.
#[utoipa::path(put, path = "/v1/secret/{name}", tag = "secret", operation_id = "secret_update",
    params(PutParameters), request_body = wire::Secret,
    responses((status = 201, body = wire::Secret), Problems))]
async fn update(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
    Body(shape): Body<wire::Secret>,
) -> ApiResult<Response> {
    let updated = app.secret_update(&caller, &name, shape, one.precondition).await?;
    Ok(reply::one::<Bare>(StatusCode::CREATED, &updated))
}

/// Deletes a secret at once. Functions that name it go on; a warning names them.
#[utoipa::path(delete, path = "/v1/secret/{name}", tag = "secret", operation_id = "secret_delete",
    params(DeleteParameters), responses((status = 204), Problems))]
async fn delete(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    one: One,
) -> ApiResult<Response> {
    let used = app.secret_delete(&caller, &name, one.deletion()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(users) = used {
        reply::warn(&mut response, &users);
    }
    Ok(response)
}

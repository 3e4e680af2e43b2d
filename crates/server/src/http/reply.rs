//! Answers: one thing with its ETag, a page with the way to the next, a deletion with a warning.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch_model::{Kind, Meta, Page, Resource};
use dispatch_wire::FromModel;
use serde::Serialize;

use super::error::ApiResult;
use super::query::{ListParameters, One};
use crate::app::Error;

const CONTINUE: HeaderName = HeaderName::from_static("x-dispatch-continue");

/// One thing as its shape.
pub fn one<S>(status: StatusCode, resource: &Resource<S::Kind>) -> Response
where
    S: FromModel + Serialize,
{
    shape(status, &resource.meta, &S::from_model(resource))
}

/// A shape with the revision of its resource as ETag.
pub fn shape<S: Serialize>(status: StatusCode, meta: &Meta, shape: &S) -> Response {
    let mut response = (status, Json(shape)).into_response();
    let tag = format!("\"{}\"", meta.revision);
    response.headers_mut().insert(header::ETAG, value(&tag));
    response
}

/// One thing that was asked for: 304 when the client has it, 404 when it lacks the tags named.
pub fn got<S>(asked: &One, resource: &Resource<S::Kind>) -> ApiResult<Response>
where
    S: FromModel + Serialize,
{
    got_shape(asked, <S::Kind as Kind>::KIND, &resource.meta, || S::from_model(resource))
}

pub fn got_shape<S: Serialize>(
    asked: &One,
    kind: dispatch_model::ResourceKind,
    meta: &Meta,
    make: impl FnOnce() -> S,
) -> ApiResult<Response> {
    if !asked.selects(&meta.tags) {
        return Err(Error::NotFound { kind, name: meta.name.to_string() }.into());
    }
    if asked.known == Some(meta.revision) {
        let tag = format!("\"{}\"", meta.revision);
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, value(&tag))]).into_response());
    }
    Ok(shape(StatusCode::OK, meta, &make()))
}

/// A bare array; headers lead to the next page.
pub fn page<S, P>(parameters: &ListParameters<P>, page: Page<Resource<S::Kind>>) -> Response
where
    S: FromModel + Serialize,
{
    let shapes: Vec<S> = page.items.iter().map(S::from_model).collect();
    shapes_page(&parameters.path_and_query, page.continue_token.as_deref(), &shapes)
}

/// The same for shapes made elsewhere.
pub fn shapes_page<S: Serialize>(path: &str, next: Option<&str>, shapes: &[S]) -> Response {
    let mut response = Json(shapes).into_response();
    if let Some(token) = next {
        let separator = if path.ends_with('?') { "" } else { "&" };
        let link = format!("<{path}{separator}continue={token}>; rel=\"next\"");
        response.headers_mut().insert(CONTINUE, value(token));
        response.headers_mut().insert(header::LINK, value(&link));
    }
    response
}

/// A thing that is being deleted; who still uses it stands in its reason and in a warning.
pub fn deleted<S>(resource: &Resource<S::Kind>) -> Response
where
    S: FromModel + Serialize,
{
    let mut response = one::<S>(StatusCode::OK, resource);
    if let Some(users) = resource.meta.reason.first() {
        warn(&mut response, users);
    }
    response
}

/// Adds `Warning: 299 - "…"`.
pub fn warn(response: &mut Response, text: &str) {
    let text = format!("299 - \"{}\"", text.replace(['"', '\\'], "'"));
    response.headers_mut().insert(header::WARNING, value(&text));
}

/// A header from text that is ASCII by construction: names, tokens, numbers.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

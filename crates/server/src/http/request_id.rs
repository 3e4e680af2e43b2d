//! The request id: taken from the client or made, in the answer, in error bodies and in the log.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use dispatch_wire::ErrorBody;
use tracing::Instrument as _;
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client, in bytes.
const MAX: usize = 128;
/// Error bodies are small; anything longer is not one.
const MAX_ERROR: usize = 64 << 10;

/// The id of the request, among its extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    pub fn made() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }
}

/// The layer.
pub async fn layer(mut request: Request, next: Next) -> Response {
    let RequestId(id) = given(&request).map_or_else(RequestId::made, RequestId);
    let value = HeaderValue::from_str(&id).expect("its characters were checked");
    request.headers_mut().insert(HEADER, value.clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!(
        "request",
        id = &*id,
        method = %request.method(),
        path = request.uri().path(),
    );
    let answer = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    let response = answer.instrument(span).await;
    let mut response = named(response, &id).await;
    response.headers_mut().insert(HEADER, value);
    response
}

fn given(request: &Request) -> Option<Arc<str>> {
    let text = request.headers().get(HEADER)?.to_str().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    let good = !text.is_empty() && text.len() <= MAX && text.chars().all(fits);
    good.then(|| text.into())
}

/// Puts the id into an error's body.
async fn named(response: Response, id: &str) -> Response {
    let status = response.status();
    let json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|t| *t == "application/json");
    if !json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_ERROR).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let bytes = match serde_json::from_slice::<ErrorBody>(&bytes) {
        Ok(mut error) => {
            error.request_id = Some(id.to_owned());
            parts.headers.remove(header::CONTENT_LENGTH);
            serde_json::to_vec(&error).unwrap_or_else(|_| bytes.to_vec()).into()
        }
        Err(_) => bytes,
    };
    Response::from_parts(parts, Body::from(bytes))
}

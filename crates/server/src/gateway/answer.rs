//! The way of one request: route, input, run, answer.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use dispatch_model::Tags;
use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

use super::method::Methods;
use super::path::is_well_encoded;
use super::place::Place;
use super::table::Found;
use super::{Gateway, cors, host, http_context, input, reply};
use crate::invoke::RunRequest;

const BLOCKING: HeaderName = HeaderName::from_static("x-dispatch-blocking");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken from a client, in bytes.
const MAX_REQUEST_ID: usize = 128;
/// Longest path and query, in bytes.
const MAX_URI: usize = 8 << 10;

type Answer = Response<Full<Bytes>>;

/// A request's route.
struct Hit {
    place: Arc<Place>,
    /// Where in the request's path the API's begins.
    uri_start: usize,
}

impl Gateway {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        https: bool,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        let request_id = request_id(&parts);
        let mut response = match self.route(&parts, https) {
            Err(response) => *response,
            Ok(hit) => {
                let called = self.call(&parts, body, &hit, https, &request_id).await;
                let mut response = called.unwrap_or_else(|refused| *refused);
                if hit.place.route.cors {
                    cors::allow(response.headers_mut());
                }
                response
            }
        };
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        self.metrics.answered(response.status());
        let (method, path, status) = (&parts.method, parts.uri.path(), response.status().as_u16());
        tracing::debug!(%request_id, %method, path, status, "answered");
        Ok(response)
    }

    /// Runs the function of a route on what the request holds.
    async fn call(
        &self,
        parts: &Parts,
        body: Incoming,
        hit: &Hit,
        https: bool,
        request_id: &Arc<str>,
    ) -> Result<Answer, Box<Answer>> {
        let body = self.read(parts, body).await?;
        let input = input::input(parts, &body).map_err(|(status, text)| refuse(status, &text))?;
        let route = &hit.place.route;
        let request = RunRequest {
            org: route.org.clone(),
            function: route.function.function.clone(),
            qualifier: route.function.qualifier.clone(),
            blocking: is_blocking(parts),
            input: Some(input),
            secrets: Vec::new(),
            services: Vec::new(),
            http_context: Some(http_context::write(parts, &hit.place, hit.uri_start, https)),
            event: None,
            tags: Tags::new(),
            idempotency_key: None,
            request_id: request_id.clone(),
        };
        Ok(self.run(request).await)
    }

    async fn run(&self, request: RunRequest) -> Answer {
        let outcome = if request.blocking {
            self.invoker.run(request).await.map(|run| reply::of_run(&run))
        } else {
            self.invoker.accept(request).await.map(|run| reply::accepted(&run))
        };
        // Runs of other connections that can be done now are done first. Then the answers leave one
        // after the other, and a client that sleeps is woken for all of them once: with a client on
        // this machine, waking it for each took a sixth of the time of a short call.
        tokio::task::yield_now().await;
        outcome.unwrap_or_else(|error| {
            if let crate::app::Error::Internal(cause) = &error {
                tracing::error!(error = ?cause, "a request of the gateway failed");
            }
            reply::of_error(&error)
        })
    }

    /// The route of a request, or the answer where there is none to run.
    fn route(&self, parts: &Parts, https: bool) -> Result<Hit, Box<Answer>> {
        if parts.uri.path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI) {
            return Err(refuse(StatusCode::URI_TOO_LONG, "the request's path is too long"));
        }
        let path = parts.uri.path();
        if !is_acceptable(path) {
            return Err(refuse(StatusCode::BAD_REQUEST, "the request's path is not acceptable"));
        }
        let Some(host) = host::of_request(parts) else {
            return Err(refuse(StatusCode::BAD_REQUEST, "the request names more than one host"));
        };
        match self.table.find(&host, path, Methods::one(&parts.method)) {
            Found::Route { place, uri_start } => serve(Hit { place, uri_start }, parts, https),
            Found::Method { cors: true, allowed } if parts.method == Method::OPTIONS => {
                Err(Box::new(cors::preflight(allowed, &parts.headers)))
            }
            Found::Method { allowed, .. } => {
                let text = "the API has no such method";
                let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, text);
                if let Ok(allowed) = HeaderValue::from_str(&allowed.list()) {
                    response.headers_mut().insert(http::header::ALLOW, allowed);
                }
                Err(response)
            }
            Found::Nothing => Err(refuse(StatusCode::NOT_FOUND, "no API found with those values")),
        }
    }

    async fn read(&self, parts: &Parts, body: Incoming) -> Result<Bytes, Box<Answer>> {
        if body.is_end_stream() || parts.method == Method::GET {
            return Ok(Bytes::new());
        }
        let max = self.settings.max_body_bytes;
        let too_large = || {
            let text = format!("the body is larger than {max} bytes (gateway.max_body_bytes)");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, &text)
        };
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        let collected = Limited::new(body, max).collect();
        match tokio::time::timeout(self.settings.read_timeout(), collected).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(refuse(StatusCode::BAD_REQUEST, "the body ended too soon")),
            Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")),
        }
    }
}

/// What a found route says to the request, before its function is run.
fn serve(hit: Hit, parts: &Parts, https: bool) -> Result<Hit, Box<Answer>> {
    let route = &hit.place.route;
    if https && !route.https {
        return Err(refuse(StatusCode::FORBIDDEN, "Please use HTTP protocol"));
    }
    if !https && !route.http {
        let mut response = refuse(StatusCode::UPGRADE_REQUIRED, "Please use HTTPS protocol");
        let upgrade = HeaderValue::from_static("TLS/1.2, HTTP/1.1");
        response.headers_mut().insert(UPGRADE, upgrade);
        return Err(response);
    }
    if route.cors && cors::is_preflight(&parts.method, &parts.headers) {
        return Err(Box::new(cors::preflight(route.methods, &parts.headers)));
    }
    Ok(hit)
}

/// Whether a path means the same to everyone who reads it.
fn is_acceptable(path: &str) -> bool {
    path.starts_with('/')
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        && is_well_encoded(path)
}

fn refuse(status: StatusCode, text: &str) -> Box<Answer> {
    Box::new(reply::message(status, text))
}

fn is_blocking(parts: &Parts) -> bool {
    !parts.headers.get(BLOCKING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"false"))
}

/// The client's request id when it is a decent one, else a new one.
fn request_id(parts: &Parts) -> Arc<str> {
    let given = parts.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let decent = |id: &&str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(fits)
    };
    match given.filter(decent) {
        Some(id) => id.into(),
        None => {
            let mut buffer = uuid::Uuid::encode_buffer();
            (&*uuid::Uuid::now_v7().simple().encode_lower(&mut buffer)).into()
        }
    }
}

//! Listeners, connections, and the way of one request.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use dispatch_model::Tags;
use http::header::{HOST, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::method::Methods;
use super::route::Route;
use super::table::Found;
use super::{Gateway, cors, http_context, input, reply};
use crate::invoke::RunRequest;

const BLOCKING: HeaderName = HeaderName::from_static("x-dispatch-blocking");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken from a client, in bytes.
const MAX_REQUEST_ID: usize = 128;
/// Longest path and query, in bytes.
const MAX_URI: usize = 8 << 10;

type Answer = Response<Full<Bytes>>;

impl Gateway {
    /// Serves both listeners until `stop`, and then lets requests under way finish.
    pub async fn serve(
        self: Arc<Self>,
        http: TcpListener,
        https: TcpListener,
        stop: CancellationToken,
    ) {
        let connections = Arc::new(Semaphore::new(self.settings.max_connections));
        let tls = TlsAcceptor::from(self.certificates.server_config());
        let tasks = TaskTracker::new();
        let plain = self.clone().accept(http, None, &connections, &tasks, &stop);
        let secure = self.clone().accept(https, Some(tls), &connections, &tasks, &stop);
        tokio::join!(plain, secure);
        tasks.close();
        tasks.wait().await;
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        connections: &Arc<Semaphore>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        loop {
            let permit = connections.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, mostly: give the connections there are time to end.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let (gateway, tls, stop) = (self.clone(), tls.clone(), stop.clone());
            tasks.spawn(async move {
                gateway.connection(stream, tls, stop).await;
                drop(permit);
            });
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
    ) {
        // Without it small answers wait for the client's acknowledgement; nothing else depends.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.http1(TokioIo::new(stream), false, stop).await;
        };
        let handshake = tokio::time::timeout(self.settings.read_timeout(), tls.accept(stream));
        let Ok(Ok(stream)) = handshake.await else { return };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(TokioIo::new(stream), stop).await;
        } else {
            self.http1(TokioIo::new(stream), true, stop).await;
        }
    }

    async fn http1<I>(self: Arc<Self>, io: I, https: bool, stop: CancellationToken)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.read_timeout())
            .max_headers(self.settings.max_headers)
            .pipeline_flush(true);
        let service = service_fn(|request| self.clone().answer(request, https));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        tokio::select! {
            // A connection that breaks is its client's affair.
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn http2<I>(self: Arc<Self>, io: I, stop: CancellationToken)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_concurrent_streams(250);
        let service = service_fn(|request| self.clone().answer(request, true));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        https: bool,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        let response = match self.route(&parts, https) {
            Err(response) => *response,
            Ok((route, parameters, uri_start)) => {
                let request_id = request_id(&parts);
                let uri = rest(parts.uri.path(), uri_start);
                let context = http_context::write(&parts, &route, https, uri, &parameters);
                let mut response = match self.read(&parts, body).await {
                    Err(response) => *response,
                    Ok(body) => match input::input(&parts, &body) {
                        Err((status, text)) => reply::message(status, &text),
                        Ok(input) => {
                            let request = RunRequest {
                                org: route.org.clone(),
                                function: route.function.clone(),
                                blocking: is_blocking(&parts),
                                input: Some(input),
                                secrets: Vec::new(),
                                services: Vec::new(),
                                http_context: context,
                                event: None,
                                tags: Tags::new(),
                                idempotency_key: None,
                                request_id: request_id.clone(),
                            };
                            self.run(request).await
                        }
                    },
                };
                if route.cors {
                    cors::allow(response.headers_mut());
                }
                if let Ok(id) = HeaderValue::from_str(&request_id) {
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                response
            }
        };
        self.metrics.answered(response.status());
        Ok(response)
    }

    async fn run(&self, request: RunRequest) -> Answer {
        let outcome = if request.blocking {
            self.invoker.run(request).await.map(|run| reply::of_run(&run))
        } else {
            self.invoker.accept(request).await.map(|run| reply::accepted(&run))
        };
        outcome.unwrap_or_else(|error| {
            if let crate::app::Error::Internal(cause) = &error {
                tracing::error!(error = ?cause, "a request of the gateway failed");
            }
            reply::of_error(&error)
        })
    }

    /// The route of a request, or the answer where there is none to run.
    #[allow(clippy::type_complexity)]
    fn route(
        &self,
        parts: &Parts,
        https: bool,
    ) -> Result<(Arc<Route>, Vec<(String, String)>, usize), Box<Answer>> {
        if parts.uri.path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI) {
            return Err(refuse(StatusCode::URI_TOO_LONG, "the request's path is too long"));
        }
        let path = parts.uri.path();
        if !path.starts_with('/') || path.split('/').any(|s| matches!(s, "." | "..")) {
            return Err(refuse(StatusCode::BAD_REQUEST, "the request's path is not acceptable"));
        }
        let host = host_of(parts);
        let method = Methods::one(&parts.method);
        match self.table.find(&host, path, method) {
            Found::Route { route, .. } if !(if https { route.https } else { route.http }) => {
                if https {
                    return Err(refuse(StatusCode::FORBIDDEN, "Please use HTTP protocol"));
                }
                let text = "Please use HTTPS protocol";
                let mut response = refuse(StatusCode::UPGRADE_REQUIRED, text);
                let upgrade = HeaderValue::from_static("TLS/1.2, HTTP/1.1");
                response.headers_mut().insert(UPGRADE, upgrade);
                Err(response)
            }
            Found::Route { route, .. }
                if route.cors && cors::is_preflight(&parts.method, &parts.headers) =>
            {
                Err(Box::new(cors::preflight(route.methods, &parts.headers)))
            }
            Found::Route { route, parameters, uri_start } => Ok((route, parameters, uri_start)),
            Found::Method { allowed, cors: true } if parts.method == Method::OPTIONS => {
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
            Found::Nothing => {
                Err(refuse(StatusCode::NOT_FOUND, "no API found with those values"))
            }
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

fn refuse(status: StatusCode, text: &str) -> Box<Answer> {
    Box::new(reply::message(status, text))
}

/// The path within an API: for a route of an organization, without its first segment.
fn rest(path: &str, from: usize) -> &str {
    if from == path.len() { "/" } else { &path[from..] }
}

/// The host a request is for, without its port, in lower case.
fn host_of(parts: &Parts) -> std::borrow::Cow<'_, str> {
    let header = || parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    let authority = parts.uri.authority().map(http::uri::Authority::as_str).or_else(header);
    let authority = authority.unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return host.to_ascii_lowercase().into();
    }
    host.into()
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

//! The HTTP proxy of a worker: `CONNECT`, and requests with an absolute URL.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, PROXY_AUTHORIZATION};
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Network;
use super::watched::Watched;
use crate::egress::Refusal;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;
/// What follows a `CONNECT` that was granted.
type Tunnel = Arc<Mutex<Option<(OnUpgrade, TcpStream)>>>;

/// Serves one connection to its end.
pub async fn serve(stream: Watched, network: &Network) {
    let tunnel = Tunnel::default();
    let service = service_fn(|request| {
        let tunnel = tunnel.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(request, network, &tunnel).await) }
    });
    let connection = server::Builder::new().serve_connection(TokioIo::new(stream), service);
    // However it ended, it is over; a tunnel is what may come after.
    let _ = connection.with_upgrades().await;
    let granted = tunnel.lock().expect("nothing panics while it holds this lock").take();
    let Some((upgrade, mut host)) = granted else { return };
    if let Ok(upgraded) = upgrade.await {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut host).await;
    }
}

async fn answer(request: Request<Incoming>, network: &Network, tunnel: &Tunnel) -> Response<Body> {
    let answered = match *request.method() {
        Method::CONNECT => connect(request, network, tunnel).await,
        _ => forward(request, network).await,
    };
    answered.unwrap_or_else(|error| error)
}

async fn connect(
    mut request: Request<Incoming>,
    network: &Network,
    tunnel: &Tunnel,
) -> Result<Response<Body>, Response<Body>> {
    let authority = request.uri().authority().ok_or_else(unclear)?;
    let port = authority.port_u16().ok_or_else(unclear)?;
    let host = network.egress.connect(authority.host(), port).await.map_err(|r| refused(&r))?;
    let upgrade = hyper::upgrade::on(&mut request);
    *tunnel.lock().expect("nothing panics while it holds this lock") = Some((upgrade, host));
    Ok(text(StatusCode::OK, ""))
}

async fn forward(
    mut request: Request<Incoming>,
    network: &Network,
) -> Result<Response<Body>, Response<Body>> {
    let uri = request.uri();
    let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTP));
    let authority = authority.ok_or_else(unclear)?.clone();
    let port = authority.port_u16().unwrap_or(80);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(path).map_err(|_| unclear())?;
    let meant = HeaderValue::try_from(authority.as_str()).map_err(|_| unclear())?;
    let headers = request.headers_mut();
    headers.insert(HOST, meant);
    for own in [PROXY_AUTHORIZATION, HeaderName::from_static("proxy-connection"), CONNECTION] {
        headers.remove(own);
    }
    let host = network.egress.connect(authority.host(), port).await.map_err(|r| refused(&r))?;
    let failed = |error: hyper::Error| {
        text(StatusCode::BAD_GATEWAY, &format!("{authority} does not answer: {error}"))
    };
    let (mut sender, connection) = client::handshake(TokioIo::new(host)).await.map_err(failed)?;
    // It ends with the response's body, which ends with the worker.
    tokio::spawn(connection);
    let mut response = sender.send_request(request).await.map_err(failed)?;
    response.headers_mut().remove(CONNECTION);
    Ok(response.map(BodyExt::boxed_unsync))
}

fn unclear() -> Response<Body> {
    let words = "this is a proxy: it takes CONNECT host:port, and requests for http:// URLs";
    text(StatusCode::BAD_REQUEST, words)
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let status = match refusal {
        Refusal::NotNamed(_) | Refusal::Closed { .. } => StatusCode::FORBIDDEN,
        Refusal::NoAddress { .. } | Refusal::Unreachable { .. } => StatusCode::BAD_GATEWAY,
    };
    text(status, &refusal.to_string())
}

fn text(status: StatusCode, words: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(words.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

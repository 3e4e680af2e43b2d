//! The way into the cluster: one address on loopback, where the host name of a request says which
//! route or Ingress it is for. A revision without pods is woken, as Knative's activator does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::api::place;
use super::kinds::{INGRESSES, PODS, REVISIONS, ROUTES, SERVICES};
use super::{Shared, status};

/// How long a request waits for the first pod of a revision.
const WAKE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

type Answer = Response<Full<Bytes>>;

/// Serves, whenever it is open, until it is dropped.
pub async fn serve(shared: Arc<Shared>, address: String, mut open: watch::Receiver<bool>) {
    loop {
        // The other side is there as long as this is.
        let _ = open.wait_for(|open| *open).await;
        let listener = listen(&address).await;
        tokio::select! {
            () = accept(&shared, listener) => {}
            _ = open.wait_for(|open| !*open) => {}
        }
    }
}

/// The address may be in use a moment longer by what was closed.
async fn listen(address: &str) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// All connections end when this is dropped.
async fn accept(shared: &Arc<Shared>, listener: TcpListener) {
    let client = reqwest::Client::builder().no_proxy().http1_only().build().expect("a client");
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, client) = (Arc::clone(shared), client.clone());
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let (shared, client) = (Arc::clone(&shared), client.clone());
                async move { Ok::<_, Infallible>(answer(&shared, &client, request).await) }
            });
            // A client that leaves is no matter.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

fn said(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text.to_owned())));
    *answer.status_mut() = status;
    answer
}

async fn answer(shared: &Shared, client: &reqwest::Client, request: Request<Incoming>) -> Answer {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
    let Some(backend) = backend(shared, &host) else {
        return said(StatusCode::NOT_FOUND, "no route for this host");
    };
    let _call = shared.under_way(&backend);
    let Some(port) = port(shared, &backend).await else {
        return said(StatusCode::SERVICE_UNAVAILABLE, "no healthy upstream");
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return said(StatusCode::BAD_REQUEST, "the body ended early");
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut forward = client.request(parts.method, format!("http://{address}{}", parts.uri.path()));
    for (name, value) in &parts.headers {
        if !matches!(name.as_str(), "host" | "content-length" | "transfer-encoding" | "connection")
        {
            forward = forward.header(name, value);
        }
    }
    let answered = match forward.body(body).send().await {
        Ok(answered) => answered,
        Err(error) if error.is_connect() => {
            return said(StatusCode::SERVICE_UNAVAILABLE, "no healthy upstream");
        }
        Err(error) => return said(StatusCode::BAD_GATEWAY, &error.to_string()),
    };
    let status = answered.status();
    let kind = answered.headers().get("content-type").cloned();
    let Ok(body) = answered.bytes().await else {
        return said(StatusCode::BAD_GATEWAY, "upstream connect error or disconnect");
    };
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    if let Some(kind) = kind {
        answer.headers_mut().insert("content-type", kind);
    }
    answer
}

/// Where requests for a host go.
enum Backend {
    Revision(String),
    Service { namespace: String, name: String },
}

impl Shared {
    fn under_way(&self, backend: &Backend) -> Option<super::Call<'_>> {
        match backend {
            Backend::Revision(name) => Some(self.call(name)),
            Backend::Service { .. } => None,
        }
    }
}

fn backend(shared: &Shared, host: &str) -> Option<Backend> {
    let url = format!("http://{host}");
    let routes = shared.world.of(ROUTES);
    if let Some(route) = routes.iter().find(|route| route["status"]["url"] == *url) {
        let targets = route["status"]["traffic"].as_array()?;
        let mut left = uuid::Uuid::new_v4().as_u128() % 100;
        for target in targets {
            let percent = u128::from(target["percent"].as_u64().unwrap_or(0));
            if left < percent {
                return Some(Backend::Revision(target["revisionName"].as_str()?.to_owned()));
            }
            left -= percent;
        }
        return None;
    }
    shared.world.of(INGRESSES).iter().find_map(|ingress| {
        let rules = ingress["spec"]["rules"].as_array()?;
        let rule = rules.iter().find(|rule| rule["host"] == *host)?;
        let name = rule["http"]["paths"][0]["backend"]["service"]["name"].as_str()?;
        Some(Backend::Service { namespace: place(ingress).0.to_owned(), name: name.to_owned() })
    })
}

async fn port(shared: &Shared, backend: &Backend) -> Option<u16> {
    let deadline = Instant::now() + WAKE;
    loop {
        if let Some(port) = ready(shared, backend) {
            return Some(port);
        }
        let waits = match backend {
            Backend::Revision(name) => {
                shared.world.of(REVISIONS).iter().any(|revision| place(revision).1 == name)
            }
            Backend::Service { .. } => false,
        };
        if !waits || Instant::now() > deadline {
            return None;
        }
        shared.world.changed.notify_one();
        tokio::time::sleep(LOOK).await;
    }
}

fn ready(shared: &Shared, backend: &Backend) -> Option<u16> {
    let pods = match backend {
        Backend::Revision(name) => shared.pods_of("serving.knative.dev/revision", name),
        Backend::Service { namespace, name } => {
            let service: Value = shared.world.get(SERVICES, namespace, name)?;
            let selector = &service["spec"]["selector"];
            let mut pods = shared.world.of(PODS);
            pods.retain(|pod| status::selects(selector, &pod["metadata"]["labels"]));
            pods
        }
    };
    let ports = pods.iter().filter(|pod| status::is_ready(pod)).filter_map(|pod| shared.port(pod));
    let ports: Vec<u16> = ports.collect();
    let one = usize::try_from(uuid::Uuid::new_v4().as_u128() % ports.len().max(1) as u128);
    ports.get(one.unwrap_or(0)).copied()
}

//! A stand-in for OpenFaaS's gateway, written from its public API documents: no package carries
//! the gateway. It speaks the REST API as both flavours do, and functions really run: each replica
//! is a container of the function's image.

mod calls;
mod functions;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::containers::Containers;
use functions::Functions;

/// Who may ask for anything below `/system`.
pub const USER: &str = "admin";
pub const PASSWORD: &str = "a-password-of-the-gateway";
/// The same, signed in elsewhere.
pub const TOKEN: &str = "a-token-of-the-gateway";
/// Where functions are that name no namespace, and another.
pub const NAMESPACES: [&str; 2] = ["openfaas-fn", "acme-fn"];

/// What runs the functions, as far as the API tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Functions start after they were accepted, once they are probed; they can be scaled.
    Kubernetes,
    /// Functions count as available when their process has begun; there is one of each.
    Faasd,
}

/// A running gateway; ended with its functions when dropped.
pub struct OpenFaas {
    address: SocketAddr,
    state: Arc<State>,
    server: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    flavour: Flavour,
    functions: Functions,
    client: reqwest::Client,
    requests: AtomicUsize,
}

type Answer = Response<Full<Bytes>>;

impl OpenFaas {
    /// None, plainly said, where containers cannot run.
    pub async fn start(flavour: Flavour) -> Option<Self> {
        let containers = Containers::start().await?;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let functions = Functions::new(containers, flavour, client.clone());
        let state = Arc::new(State { flavour, functions, client, requests: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let server = Mutex::new(Some(tokio::spawn(serve(listener, state.clone()))));
        Some(Self { address, state, server })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the gateway with all its connections; its functions run on.
    pub async fn go(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.abort();
            // It ends by that.
            let _ = server.await;
        }
    }

    /// Begins again at the same address.
    pub async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the address is still free");
        *self.server() = Some(tokio::spawn(serve(listener, self.state.clone())));
    }

    /// What a function was made of, and how many replicas of it run.
    pub fn function(&self, namespace: &str, name: &str) -> Option<(Value, usize)> {
        let function = self.state.functions.get(namespace, name)?;
        Some((function.spec.clone(), function.ports().len()))
    }

    /// How many it was asked so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenFaas {
    fn drop(&mut self) {
        if let Some(server) = self.server().take() {
            server.abort();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Dropped with this future, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = state.clone();
                connections.spawn(async move {
                    let answer = service_fn(move |request| {
                        let state = state.clone();
                        async move { state.answer(request).await }
                    });
                    // A client that leaves is no failure.
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl State {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> hyper::Result<Answer> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        Ok(match parts.as_slice() {
            ["healthz"] => text(StatusCode::OK, "OK"),
            ["function", name, rest @ ..] => {
                let rest = rest.join("/");
                self.call(name, &rest, head.method, head.headers, body).await
            }
            ["async-function", name, ..] => self.queue(name, head.headers, body),
            ["system", rest @ ..] if signed_in(&head.headers) => {
                let query = head.uri.query().unwrap_or_default();
                self.system(&head.method, rest, query, &body).await
            }
            ["system", ..] => unauthorized(),
            _ => text(StatusCode::NOT_FOUND, "404 page not found"),
        })
    }

    async fn system(&self, method: &Method, path: &[&str], query: &str, body: &[u8]) -> Answer {
        let parameter = |name: &str| parameter(query, name);
        let namespace = parameter("namespace").unwrap_or_else(|| NAMESPACES[0].to_owned());
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let functions = &self.functions;
        match (method.as_str(), path) {
            ("GET", ["info"]) => json_answer(&self.info()),
            ("GET", ["namespaces"]) => json_answer(&json!(NAMESPACES)),
            ("GET", ["functions"]) => json_answer(&functions.list(&namespace)),
            ("POST", ["functions"]) => functions.deploy(&namespace, &sent).await,
            ("PUT", ["functions"]) => functions.update(&namespace, &sent).await,
            ("DELETE", ["functions"]) => functions.delete(&namespace, &sent),
            ("GET", ["function", name]) => match functions.get(&namespace, name) {
                Some(function) => json_answer(&function.status()),
                None => missing(name),
            },
            ("POST", ["scale-function", name]) => functions.scale(&namespace, name, &sent),
            ("GET", ["secrets"]) => json_answer(&functions.secrets(&namespace)),
            ("POST" | "PUT" | "DELETE", ["secrets"]) => functions.secret(method, &namespace, &sent),
            ("GET", ["logs"]) => {
                let tail = parameter("tail").and_then(|tail| tail.parse().ok());
                let name = parameter("name").unwrap_or_default();
                functions.logs(&namespace, &name, tail).await
            }
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
        }
    }

    fn info(&self) -> Value {
        let (provider, orchestration) = match self.flavour {
            Flavour::Kubernetes => ("faas-netes", "kubernetes"),
            Flavour::Faasd => ("faasd", "containerd"),
        };
        let version = json!({"release": "stand-in", "sha": "", "commit_message": ""});
        let provider = json!({
            "provider": provider, "orchestration": orchestration, "version": version,
        });
        json!({"provider": provider, "version": version, "arch": "x86_64"})
    }
}

/// A value of a query; those of the API need no decoding.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn signed_in(headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    given.is_some_and(|given| given == basic || given == format!("Bearer {TOKEN}"))
}

fn unauthorized() -> Answer {
    let mut answer = text(StatusCode::UNAUTHORIZED, "invalid credentials");
    let realm = "Basic realm=\"Restricted\"".parse().expect("a header");
    answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
    answer
}

fn text(status: StatusCode, words: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(words.to_owned())));
    *answer.status_mut() = status;
    answer
}

fn json_answer(value: &Value) -> Answer {
    let mut answer = text(StatusCode::OK, &value.to_string());
    answer.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a header"));
    answer
}

fn missing(name: &str) -> Answer {
    text(StatusCode::NOT_FOUND, &format!("error finding function {name}: not found"))
}

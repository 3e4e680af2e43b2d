//! A stand-in for HashiCorp Vault, written from its public API documents: no package carries it. It
//! speaks the key-value engine of version 2, signing in by AppRole and by Kubernetes, and what a
//! token may ask of itself; of several nodes each can be active, a standby, sealed or silent.

mod kept;
mod routes;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use kept::Kept;

/// Where the key-value engine is mounted.
pub const MOUNT: &str = "kv";
/// The credentials of its AppRole.
pub const ROLE_ID: &str = "a-role-id-of-the-vault";
pub const SECRET_ID: &str = "a-secret-id-of-the-vault";
/// The role of its Kubernetes login, and the service account's token it takes.
pub const ROLE: &str = "dispatch";
pub const ACCOUNT: &str = "a-token-of-a-service-account";

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Active,
    /// Sends on to another node, as one without request forwarding does.
    Standby {
        active: usize,
    },
    /// Answers this status to all.
    Status(u16),
    Sealed,
    /// Takes requests and never answers.
    Silent,
}

/// What it was asked so far.
#[derive(Debug, Default)]
pub struct Asked {
    pub reads: AtomicUsize,
    pub logins: AtomicUsize,
    pub renewals: AtomicUsize,
}

struct State {
    kept: Mutex<Kept>,
    modes: Mutex<Vec<Mode>>,
    addresses: Mutex<Vec<SocketAddr>>,
    asked: Asked,
}

/// A running Vault; ended when dropped.
pub struct Vault {
    state: Arc<State>,
    _servers: JoinSet<()>,
}

impl Vault {
    /// Of so many nodes, the first of them active.
    pub async fn start(nodes: usize) -> Self {
        let mut modes = vec![Mode::Standby { active: 0 }; nodes];
        modes[0] = Mode::Active;
        let state = Arc::new(State {
            kept: Mutex::default(),
            modes: Mutex::new(modes),
            addresses: Mutex::default(),
            asked: Asked::default(),
        });
        let mut servers = JoinSet::new();
        for node in 0..nodes {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("it has an address");
            state.addresses().push(address);
            servers.spawn(serve(listener, state.clone(), node));
        }
        Self { state, _servers: servers }
    }

    pub fn url(&self, node: usize) -> String {
        format!("http://{}", self.state.addresses()[node])
    }

    pub fn set(&self, node: usize, mode: Mode) {
        self.state.modes.lock().unwrap_or_else(PoisonError::into_inner)[node] = mode;
    }

    /// Writes the next version of a secret, and returns its number.
    pub fn put(&self, path: &str, values: Value) -> u64 {
        self.state.kept().put(path, values)
    }

    /// Deletes a version so that it could be undeleted, or for good.
    pub fn delete(&self, path: &str, version: u64, destroy: bool) {
        self.state.kept().delete(path, version, destroy);
    }

    /// Makes a token that lives for so long, for ever when zero.
    pub fn token(&self, life: Duration) -> String {
        self.state.kept().token(life)
    }

    /// Makes tokens of logins live for so long.
    pub fn set_login_life(&self, life: Duration) {
        self.state.kept().login_life = life;
    }

    /// Ends all tokens.
    pub fn revoke(&self) {
        self.state.kept().revoke();
    }

    /// Whether tokens may read secrets.
    pub fn set_allowed(&self, allowed: bool) {
        self.state.kept().denied = !allowed;
    }

    /// Takes only requests for a namespace.
    pub fn set_namespace(&self, namespace: &str) {
        self.state.kept().namespace = namespace.to_owned();
    }

    pub fn reads(&self) -> usize {
        self.state.asked.reads.load(Ordering::Relaxed)
    }

    pub fn logins(&self) -> usize {
        self.state.asked.logins.load(Ordering::Relaxed)
    }

    pub fn renewals(&self) -> usize {
        self.state.asked.renewals.load(Ordering::Relaxed)
    }
}

impl State {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mode(&self, node: usize) -> Mode {
        self.modes.lock().unwrap_or_else(PoisonError::into_inner)[node]
    }
}

async fn serve(listener: TcpListener, state: Arc<State>, node: usize) {
    // Dropped with this future, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let state = state.clone();
                async move {
                    let answer = routes::answer(&state, node, request).await;
                    Ok::<Response<Full<Bytes>>, std::convert::Infallible>(answer)
                }
            });
            // A client that goes away in the middle is no failure of the server.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

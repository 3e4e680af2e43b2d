//! Answers of calls that went to OpenFaaS's queue: its worker brings each to a URL of its own.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::runtime::Reply;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// Longest time until the address of a listener that has ended is free.
const CLOSING: Duration = Duration::from_secs(2);
/// Connections at the same time; the queue's workers have a few.
const MAX_CONNECTIONS: usize = 1_024;
/// Longest time of a request's head, and of a connection without one.
const HEAD: Duration = Duration::from_secs(30);
/// Longest time of a request's body.
const BODY: Duration = Duration::from_secs(60);
/// After a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// What the function answered with, which the worker tells beside the body.
const STATUS: &str = "x-function-status";

/// Calls that wait for their answer, by the secret of each one's URL.
type Waiting = Arc<DashMap<Uuid, oneshot::Sender<Reply>>>;

/// Listeners of this process by their address. Engines share one: an engine whose settings change
/// is made anew while its calls are still waited for.
static LISTENERS: LazyLock<Mutex<HashMap<String, Weak<Listener>>>> = LazyLock::new(Mutex::default);

/// A listener; it ends with the last engine that needs it.
struct Listener {
    waiting: Waiting,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where one engine's calls are answered.
pub struct Callbacks {
    url: String,
    listener: Arc<Listener>,
}

impl Callbacks {
    /// Listens at an address, which callers reach by a URL.
    pub async fn listen(address: &str, url: &str) -> std::io::Result<Self> {
        let mut all = LISTENERS.lock().await;
        let listener = match all.get(address).and_then(Weak::upgrade) {
            Some(listener) => listener,
            None => {
                let waiting = Waiting::default();
                let task = tokio::spawn(accept(bind(address).await?, waiting.clone()));
                Arc::new(Listener { waiting, task })
            }
        };
        all.insert(address.to_owned(), Arc::downgrade(&listener));
        Ok(Self { url: url.to_owned(), listener })
    }

    /// A place for the answer of one call. Nobody can guess its URL.
    pub fn expect(&self) -> Expected<'_> {
        let (sender, answer) = oneshot::channel();
        let secret = Uuid::new_v4();
        self.listener.waiting.insert(secret, sender);
        Expected { callbacks: self, secret, answer: Some(answer) }
    }
}

/// Waits for the answer of one call.
pub struct Expected<'a> {
    callbacks: &'a Callbacks,
    secret: Uuid,
    answer: Option<oneshot::Receiver<Reply>>,
}

impl Expected<'_> {
    pub fn url(&self) -> String {
        format!("{}/{}", self.callbacks.url, self.secret)
    }

    pub async fn answer(mut self, deadline: Instant) -> Result<Reply> {
        let answer = self.answer.take().expect("it is taken once");
        let limit = tokio::time::Instant::from_std(deadline);
        let came =
            tokio::time::timeout_at(limit, answer).await.ok().and_then(std::result::Result::ok);
        came.ok_or_else(|| {
            let text = "OpenFaaS's queue brought no answer until the deadline of the call";
            Error::backend(code::ENGINE006, Retry::Now, text)
        })
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.callbacks.listener.waiting.remove(&self.secret);
    }
}

/// A listener that has ended this moment may still have its address.
async fn bind(address: &str) -> std::io::Result<TcpListener> {
    let ends = Instant::now() + CLOSING;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < ends => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            bound => return bound,
        }
    }
}

async fn accept(listener: TcpListener, waiting: Waiting) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Those that are too many wait with the kernel until others have ended.
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                // A connection that could not be taken is its peer's to open again. When there are
                // no file descriptors, there are none a moment later either.
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let waiting = waiting.clone();
                connections.spawn(async move {
                    let take = service_fn(|request| take(request, waiting.clone(), peer));
                    let served = Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD)
                        .serve_connection(TokioIo::new(stream), take)
                        .await;
                    if let Err(error) = served {
                        tracing::debug!(%error, %peer, "a callback of OpenFaaS broke off");
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn take(
    request: Request<Incoming>,
    waiting: Waiting,
    peer: SocketAddr,
) -> std::result::Result<Response<Empty<Bytes>>, hyper::Error> {
    let answer = |status| {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        Ok(response)
    };
    let secret = request.uri().path().rsplit('/').next().and_then(|last| last.parse::<Uuid>().ok());
    let known = secret.is_some_and(|secret| waiting.contains_key(&secret));
    if request.method() != Method::POST || !known {
        tracing::debug!(%peer, "a callback that nobody waits for");
        return answer(StatusCode::NOT_FOUND);
    }
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY, Limited::new(body, MAX_ANSWER).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return answer(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return answer(StatusCode::REQUEST_TIMEOUT),
    };
    let told = head.headers.get(STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
    let status = told.and_then(|code: u16| StatusCode::from_u16(code).ok()).unwrap_or_default();
    let reply = Reply { status, headers: head.headers, body: body.to_bytes() };
    if let Some((_, sender)) = secret.and_then(|secret| waiting.remove(&secret)) {
        // Whoever waited may have left this moment.
        let _ = sender.send(reply);
    }
    answer(StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Waiting::default()));
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut said = Vec::new();
        // It would wait here for ever.
        silent.read_to_end(&mut said).await.unwrap();
    }
}

//! A stand-in for Apache OpenWhisk, written from its public API documents: actions that are Docker
//! images, run by Docker's engine and spoken to as OpenWhisk's invoker does, and records of their
//! activations. What it cannot do is refused.

mod action;
mod activation;
mod routes;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::containers::{Container, Containers};
use action::Action;
use activation::Record;

/// Key of its one namespace.
pub const KEY: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:a key with : and ü";
/// Largest parameters and largest result, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Containers there may be at the same time.
const MAX_CONTAINERS: usize = 6;

/// A running OpenWhisk; it ends with its containers when it is dropped.
pub struct OpenWhisk {
    pub address: SocketAddr,
    system: Arc<System>,
    listening: Option<JoinHandle<()>>,
}

/// What it knows.
struct System {
    containers: Containers,
    /// How long it waits for a call before it says only that it was accepted.
    wait: Duration,
    room: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    actions: HashMap<String, Arc<Action>>,
    /// By id, in the order they ended.
    activations: Vec<(String, Record)>,
    /// Containers with a call in them.
    busy: Vec<Container>,
    /// It refuses so many calls as too many.
    throttled: usize,
}

impl OpenWhisk {
    /// None, plainly said, where it cannot be.
    pub async fn start(wait: Duration) -> Option<Self> {
        let containers = Containers::start().await?;
        let room = Semaphore::new(MAX_CONTAINERS);
        let system = System { containers, wait, room, state: Mutex::default() };
        let address = crate::programs::free_address();
        let mut openwhisk = Self { address, system: Arc::new(system), listening: None };
        openwhisk.resume().await;
        Some(openwhisk)
    }

    /// Takes it away; what runs goes on unseen.
    pub fn halt(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }

    /// Brings it back where it was, knowing what it knew.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its port is free");
        self.listening = Some(tokio::spawn(listen(listener, self.system.clone())));
    }

    /// Refuses the next calls as too many.
    pub fn throttle(&self, calls: usize) {
        self.system.state().throttled = calls;
    }

    /// Ends the containers that have a call in them; how many that were.
    pub async fn kill_busy(&self) -> usize {
        let busy = self.system.state().busy.clone();
        for container in &busy {
            self.system.containers.kill(container).await;
        }
        busy.len()
    }

    /// Names of the actions it has.
    pub fn actions(&self) -> Vec<String> {
        self.system.state().actions.keys().cloned().collect()
    }
}

impl Drop for OpenWhisk {
    fn drop(&mut self) {
        self.halt();
    }
}

impl System {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(listener: TcpListener, system: Arc<System>) {
    // Connections end with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let system = system.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| routes::answer(system.clone(), request));
            // A client that leaves is no failure.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

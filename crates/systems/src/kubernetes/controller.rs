//! What a cluster has besides its API, as small as it can be and true in what it writes: the
//! controllers of Deployments, Services and owners, the kubelet of one node, which really runs
//! functions' images by a Docker engine, Knative Serving, riff, and an ingress.
//!
//! There is no network of a cluster: pods share that of the machine, each with a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::Kubernetes;
use super::api::{self, Api, Refusal};
use crate::docker::Docker;
use world::World;

mod deployment;
mod endpoints;
mod garbage;
pub mod kinds;
mod kubelet;
mod status;
mod world;

/// Longest time between two rounds, when nothing happens.
const ROUND: Duration = Duration::from_millis(200);

/// How what is made of an object goes; by its name, see [`Controller::behave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is done for so long after it was made.
    Slow(Duration),
    /// Its state says ready and failed in turns, each for so long, six times.
    Flapping(Duration),
}

/// What all parts share.
pub(super) struct Shared {
    pub world: Arc<World>,
    pub api: Api,
    pub docker: Arc<Docker>,
    /// Where pods are reached from outside of them: Kubernetes takes no address of loopback.
    pub host: String,
    modes: Mutex<BTreeMap<String, Mode>>,
    /// The port of each ready pod, by its uid.
    ports: Mutex<BTreeMap<String, u16>>,
}

impl Shared {
    pub fn mode(&self, name: &str) -> Option<Mode> {
        let modes = self.modes.lock().expect("no panic holds it");
        modes.iter().find(|(prefix, _)| name.starts_with(prefix.as_str())).map(|(_, mode)| *mode)
    }

    /// Where a pod serves now, if it does.
    fn serves(&self, uid: &str, port: Option<u16>) {
        let mut ports = self.ports.lock().expect("no panic holds it");
        match port {
            Some(port) => drop(ports.insert(uid.to_owned(), port)),
            None => drop(ports.remove(uid)),
        }
    }

    pub fn port(&self, pod: &Value) -> Option<u16> {
        let uid = pod["metadata"]["uid"].as_str()?;
        self.ports.lock().expect("no panic holds it").get(uid).copied()
    }
}

/// Running controllers; they end, with all containers, when dropped.
pub struct Controller {
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Controller {
    /// None, plainly said, where this machine has no address that pods may have.
    pub fn start(kubernetes: &Kubernetes, docker: Arc<Docker>) -> Option<Self> {
        let Some(host) = own_address() else {
            println!("could not run: this machine has no address besides loopback");
            return None;
        };
        let shared = Arc::new(Shared {
            world: Arc::default(),
            api: kubernetes.api(),
            docker,
            host,
            modes: Mutex::default(),
            ports: Mutex::default(),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let theirs = Arc::clone(&shared);
        // A thread of its own: tests come and go with their runtimes.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = rounds(theirs) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Some(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// How it goes with everything whose name begins so.
    pub fn behave(&self, name: &str, mode: Mode) {
        self.shared.modes.lock().expect("no panic holds it").insert(name.to_owned(), mode);
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // It has ended already when nobody listens.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

async fn rounds(shared: Arc<Shared>) {
    shared.world.follow(&shared.api);
    let mut kubelet = kubelet::Kubelet::new(Arc::clone(&shared)).await;
    loop {
        // Each is safe to repeat and looks at everything: what one of them could not write in this
        // round, as it was not the latest, it writes in the next.
        deployment::round(&shared).await;
        kubelet.round();
        endpoints::round(&shared).await;
        garbage::round(&shared).await;
        let changed = shared.world.changed.notified();
        let _ = tokio::time::timeout(ROUND, changed).await;
    }
}

/// The address by which this machine would reach others; nothing is sent for that.
fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    let address: SocketAddr = socket.local_addr().ok()?;
    (!address.ip().is_loopback()).then(|| address.ip().to_string())
}

/// What a write that may come too late ended with: conflicts and vanished objects are settled by
/// the next round.
pub(super) fn settled(result: Result<Value, Refusal>) {
    let Err(refusal) = result else { return };
    let late = [reqwest::StatusCode::CONFLICT, reqwest::StatusCode::NOT_FOUND];
    // No answer: the server is being restarted, which tests do.
    if refusal.status.is_some_and(|status| !late.contains(&status)) {
        eprintln!("the controller of a test: {refusal}");
    }
}

/// Whether the owner a reference names is really not there any more.
async fn gone(shared: &Shared, reference: &Value, of: &Value) -> bool {
    let named = |kind: &&api::Kind| {
        reference["kind"] == *kind.name && reference["apiVersion"] == *kind.version
    };
    let Some(kind) = kinds::ALL.iter().find(named) else { return false };
    let name = reference["name"].as_str().unwrap_or_default();
    match shared.api.get(*kind, api::place(of).0, name).await {
        Ok(owner) => owner["metadata"]["uid"] != reference["uid"],
        Err(refusal) => refusal.is(reqwest::StatusCode::NOT_FOUND),
    }
}

//! What a cluster has besides its API, as small as it can be and true in what it writes: the
//! controllers of Deployments, Services and owners, the kubelet of one node, which really runs
//! functions' images by a Docker engine, Knative Serving, riff, and an ingress.
//!
//! There is no network of a cluster: pods share that of the machine, each with a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Kubernetes;
use super::api::{self, Api, Refusal};
use crate::docker::Docker;
use world::World;

mod deployment;
mod endpoints;
mod garbage;
mod ingress;
pub mod kinds;
mod knative;
mod kubelet;
mod riff;
mod status;
mod world;

/// Longest time between two rounds, when nothing happens.
const ROUND: Duration = Duration::from_millis(200);

/// How it goes with an object, see [`Controller::behave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is done for so long after it was made.
    Slow(Duration),
    /// Its state says ready and failed in turns, each for so long, twenty times.
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
    /// Calls under way of each revision, and when the last one ended or a new one began.
    calls: Mutex<BTreeMap<String, (u32, Instant)>>,
}

impl Shared {
    pub fn mode(&self, name: &str) -> Option<Mode> {
        let modes = self.modes.lock().expect("no panic holds it");
        modes.get(name).copied()
    }

    /// Whether nothing is done for an object yet.
    fn waits(&self, object: &Value) -> bool {
        let slow = match self.mode(api::place(object).1) {
            Some(Mode::Slow(time)) => status::age(object).is_none_or(|age| age < time),
            _ => false,
        };
        slow || !object["metadata"]["deletionTimestamp"].is_null()
    }

    /// Whether a revision has calls, or had one so short a time ago.
    fn used_within(&self, revision: &str, time: Duration) -> bool {
        let mut calls = self.calls.lock().expect("no panic holds it");
        let (under_way, last) = calls.entry(revision.to_owned()).or_insert((0, Instant::now()));
        *under_way > 0 || last.elapsed() < time
    }

    /// Counts a call of a revision until it is dropped.
    fn call(&self, revision: &str) -> Call<'_> {
        let mut calls = self.calls.lock().expect("no panic holds it");
        calls.entry(revision.to_owned()).or_insert((0, Instant::now())).0 += 1;
        Call { shared: self, revision: revision.to_owned() }
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

/// A call under way.
pub(super) struct Call<'a> {
    shared: &'a Shared,
    revision: String,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut calls = self.shared.calls.lock().expect("no panic holds it");
        if let Some((under_way, last)) = calls.get_mut(&self.revision) {
            (*under_way, *last) = (*under_way - 1, Instant::now());
        }
    }
}

/// Running controllers; they end, with all containers, when dropped.
pub struct Controller {
    /// `127.0.0.1:PORT`: requests with the host name of a route or Ingress come in here.
    pub ingress: String,
    open: tokio::sync::watch::Sender<bool>,
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
            calls: Mutex::default(),
        });
        let ingress = crate::programs::free_address().to_string();
        let (open, is_open) = tokio::sync::watch::channel(true);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (theirs, address) = (Arc::clone(&shared), ingress.clone());
        // A thread of its own: tests come and go with their runtimes.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                define(&theirs.api).await;
                // The other side waits for this.
                let _ = ready.send(());
                tokio::select! {
                    () = rounds(Arc::clone(&theirs)) => {}
                    () = ingress::serve(theirs, address, is_open) => {}
                    _ = stopped => {}
                }
            });
            // Commands of Docker under way still hold its engine, which ends with the last of them.
            runtime.shutdown_timeout(Duration::from_secs(60));
        });
        is_ready.recv().expect("the kinds can be defined");
        Some(Self { ingress, open, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// How it goes with what is made of the object of this name.
    pub fn behave(&self, name: &str, mode: Mode) {
        self.shared.modes.lock().expect("no panic holds it").insert(name.to_owned(), mode);
    }
}

impl Controller {
    /// Closes the ingress with all its connections, or opens it again at its address.
    pub fn open_ingress(&self, open: bool) {
        // Nobody listens only when the controllers have ended.
        let _ = self.open.send(open);
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
        riff::round(&shared).await;
        knative::round(&shared).await;
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

/// Defines the kinds of Knative and riff, and waits until they are served.
async fn define(api: &Api) {
    let definitions = super::definitions::all();
    for definition in &definitions {
        // Whoever used this server before has defined it already.
        if let Err(refusal) = api.create(kinds::DEFINITIONS, definition).await {
            let there = refusal.is(reqwest::StatusCode::CONFLICT);
            assert!(there, "a kind cannot be defined: {refusal}");
        }
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    for kind in kinds::ALL {
        while let Err(refusal) = api.list(*kind).await {
            assert!(Instant::now() < deadline, "{kind:?} is not served: {refusal}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Makes an object that is not there; where `part` of one that is differs, it is written anew.
async fn ensure(shared: &Shared, kind: api::Kind, object: Value, part: &str) {
    let (namespace, name) = api::place(&object);
    match shared.world.get(kind, namespace, name) {
        None => settled(shared.api.create(kind, &object).await),
        Some(there) if !part.is_empty() && there[part] != object[part] => {
            let mut there = there;
            there[part] = object[part].clone();
            settled(shared.api.replace(kind, &there).await);
        }
        Some(_) => {}
    }
}

/// Writes the state of an object, if it is another one.
async fn report(shared: &Shared, kind: api::Kind, object: &Value, after: Value) {
    if object["status"] == after {
        return;
    }
    let mut object = object.clone();
    object["status"] = after;
    settled(shared.api.replace_status(kind, &object).await);
}

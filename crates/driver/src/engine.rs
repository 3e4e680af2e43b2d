//! Engines: what runs functions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_model::{InvocationError, Logs, Name, OrgName, RawJson};
use serde::Serialize;
use uuid::Uuid;

use crate::Result;

/// A place functions run: embedded (wasm, process) or a foreign FaaS.
///
/// Expected flow: `build` once for each new deployment (slow, may fail for reasons the author of
/// the function must read), `ensure` whenever a server starts or the deployment changes (cheap,
/// idempotent), then any number of `invoke`s, then `remove`. A change of a function is a new
/// deployment with a new id beside the old one, so nothing stops while it is made.
///
/// Several servers may drive the same foreign system: what a driver makes there it names by the
/// deployment's id alone, so that any server finds it, and `remove` needs nothing else.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The configured name, which a function's `engine` field uses: `process`, `wasm`.
    fn name(&self) -> &str;

    fn capabilities(&self) -> Capabilities;

    /// What has to be installed here before the engine runs a language, when that is all it
    /// takes: a sentence without its full stop.
    fn needs(&self, _language: &str) -> Option<String> {
        None
    }

    /// Proves that the deployment can run: unpacks and checks the source, compiles what has to be
    /// compiled, loads the handler once. Idempotent; a repeat is cheap.
    ///
    /// # Errors
    /// `Fault::Caller` with the compiler's or interpreter's words when the source is at fault, or
    /// the image whose interpreter that is.
    async fn build(&self, deployment: &Deployment) -> Result<()>;

    /// Makes the deployment callable by this server. Idempotent and cheap: starts no worker, and
    /// makes the deployment in a foreign system only where that has lost it.
    async fn ensure(&self, deployment: &Deployment) -> Result<()>;

    /// How the deployment is in the engine now.
    async fn observe(&self, id: Uuid) -> Result<Observed>;

    /// Stops everything of a deployment and frees what it holds. Idempotent, also for an id it
    /// never had; calls under way are let finish within their own timeout.
    async fn remove(&self, id: Uuid) -> Result<()>;

    /// Runs the handler once. `Ok` whenever the function was reached, also when it failed: then
    /// [`Outcome::result`] says how. Dropping the future abandons the call and must neither lose
    /// nor poison a worker.
    ///
    /// # Errors
    /// Everything that is not the function's fault: not ensured, no capacity, engine broken.
    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome>;

    /// The last lines a deployment's workers printed outside of calls: what a start that failed
    /// said. Newest last, at most `lines`. Empty where an engine keeps none.
    async fn logs(&self, _id: Uuid, _lines: usize) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Health;

    /// Workers (or instances) alive now for all deployments: (busy, idle).
    fn workers(&self) -> (u64, u64);

    /// Stops all workers; called once when the server stops.
    async fn shutdown(&self);
}

/// What an engine can do; placement and error messages read it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Capabilities {
    /// Languages it runs with what the machine has, as base images spell them.
    pub languages: Vec<String>,
    /// Languages it runs on images, which bring their own interpreter.
    pub on_images: Vec<String>,
    /// What the machine lacks, for the operator: one sentence each.
    pub missing: Vec<String>,
    /// Whether it pulls functions' own images from a registry ([`Deployment::function_image`]),
    /// rather than being given their source. Then `languages` are those such images can hold.
    pub pulls_images: bool,
    /// Whether what it holds outlives the server that made it.
    pub lasting: bool,
}

/// How a deployment is in its engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Observed {
    /// The engine does not have it.
    Absent,
    /// It is being made, or has lost its workers and makes new ones.
    Pending { message: String },
    Ready {
        /// Workers there are now; 0 where it starts them when it is called.
        workers: u32,
    },
    /// It cannot run; the message is for the author of the function.
    Failed { message: String },
}

/// How an engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub ok: bool,
    pub message: String,
}

/// One revision of a function as an engine sees it.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The `faasId`: names the deployment in every other call.
    pub id: Uuid,
    pub org: OrgName,
    pub function: Name,
    /// Number of the function's version, from 1.
    pub version: u64,
    /// As images spell it: the name of a [`crate::Language`], or `wasm`.
    pub language: String,
    /// The image's URL: `host:LANGUAGE` or an OCI reference.
    pub image_url: String,
    /// Digest of the manifest of the image it runs on, to be had from the [`crate::ImageStore`].
    /// `None`: the machine's own programs.
    pub image_digest: Option<String>,
    /// Where the function's own image can be pulled: `HOST[:PORT]/REPOSITORY@sha256:<hex>`. It
    /// serves the Function Runtime API. `None` on the machine's own programs, and where nothing is
    /// published.
    pub function_image: Option<String>,
    /// May be empty: the language's default applies.
    pub handler: String,
    /// `sha256:<hex>` of the source, to be read from the [`crate::SourceStore`].
    pub source_digest: String,
    pub environment: BTreeMap<String, String>,
    /// Longest time of one call; a [`Call::deadline`] may be sooner.
    pub timeout: Duration,
    pub memory_mib: u64,
    /// Calls at the same time on this server.
    pub concurrency: u32,
    /// Idle time after which a worker is stopped.
    pub idle: Duration,
    /// Hosts it may connect to; empty means no network.
    pub egress: Vec<String>,
    /// Labels the place it runs on must have, which an engine with several kinds of machines turns
    /// into its own selectors: `gpu: a100`.
    pub require: BTreeMap<String, String>,
}

/// One call of a handler.
#[derive(Debug, Clone)]
pub struct Call {
    pub run_id: Uuid,
    /// A JSON object: what the handler gets as its context.
    pub context: Bytes,
    /// Any JSON value.
    pub payload: Bytes,
    /// When the call must have ended, counted with the time it waits for a worker.
    pub deadline: Instant,
}

/// What a handler did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the handler returned; or the failure.
    pub result: std::result::Result<RawJson, InvocationError>,
    pub logs: Logs,
    pub phases: Phases,
}

/// Where the time of a call went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Waiting for a free worker, the start of one included.
    pub wait: Duration,
    /// Inside the worker or instance.
    pub handler: Duration,
    /// Whether a worker had to be started for this call.
    pub cold: bool,
}

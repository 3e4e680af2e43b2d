//! Starts workers: from a warm pool where the language has one, else from nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::Error;
use dispatch_driver::language::Languages;
use dispatch_model::{InvocationError, code};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::cgroup::{Cgroup, Cgroups};
use super::config::ProcessConfig;
use super::control::Control;
use super::deployed::Deployed;
use super::failure;
use super::frame::FrameSocket;
use super::host::HostLanguage;
use super::init::MAX_LAUNCH_BYTES;
use super::language;
use super::log::LogPipe;
use super::network::Carrier;
use super::plan::{Launch, Step};
use super::pool::Pools;
use super::root::{FUNCTION, Site};
use super::source;
use super::wires::Wires;
use super::worker::{NoHello, Parts, Worker};

/// Besides the result itself: quotes of an error's stack trace and such.
const FRAME_SLACK_BYTES: usize = 1 << 20;

const PROBE_MEMORY_MIB: u64 = 64;

/// Why there is no worker.
#[derive(Debug)]
pub enum StartError {
    /// The handler does not load.
    Handler(InvocationError),
    Engine(Error),
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        StartError::Engine(error)
    }
}

pub struct Starter {
    pub config: ProcessConfig,
    pub site: Site,
    pub cgroups: Cgroups,
    /// All that are known, also those this machine has no interpreter for.
    pub languages: Languages,
    pub hosts: HashMap<String, HostLanguage>,
    pub graves: mpsc::UnboundedSender<Cgroup>,
    pub pools: Pools,
}

/// The load message, as hosts read it.
#[derive(Serialize)]
struct Order<'a> {
    /// Those that finish the sandbox of a forked worker.
    steps: &'a [Step],
    handler: &'a str,
    directory: &'a str,
    environment: HashMap<String, String>,
    max_payload_bytes: usize,
    load_timeout_ms: u64,
    /// For the executables of a bridge, where no cgroup limits memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_address_bytes: Option<u64>,
    /// Where the host looks for what it had kept, and may ask to have kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<String>,
}

impl Starter {
    /// Starts a worker and loads the deployment's handler in it.
    pub async fn start(
        self: &Arc<Self>,
        deployed: &Deployed,
        slot: OwnedSemaphorePermit,
    ) -> Result<Worker, StartError> {
        let Deployed { deployment, kind, source, network, .. } = deployed;
        let network = network.as_deref();
        let host = &kind.host;
        let limits = match self.cgroups.limits_memory() {
            true => Vec::new(),
            false => language::address_space(host, deployment.memory_mib),
        };
        if language::is_forked(host) {
            let steps = self.site.forked(source, &limits, network);
            let spare = self.spare(kind).await?;
            let limited = spare.cgroup.limit_memory(deployment.memory_mib);
            limited.map_err(|e| failure::engine("a cgroup cannot be set up", e))?;
            let worker = self.worker(spare.wires, spare.cgroup, None, slot)?;
            let loaded = self.load(worker, deployed, &steps).await;
            self.refill(kind);
            return loaded;
        }
        let steps = self.site.alone(kind.base(), source, &limits, network);
        let program = language::program(host, deployment.memory_mib, network);
        let launch = Launch { steps, program, environment: environment(deployed) };
        let worker = self.launched(&launch, deployment.memory_mib, slot).await?;
        self.load(worker, deployed, &[]).await
    }

    /// Starts a sandbox and lets it end as soon as it has proved that it can be made.
    pub async fn greet(&self, launch: &Launch) -> Result<(), Error> {
        self.single(launch, PROBE_MEMORY_MIB).await.map(drop)
    }

    /// A sandbox of the engine's own, for no deployment.
    pub async fn single(&self, launch: &Launch, memory_mib: u64) -> Result<Worker, Error> {
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let slot = slot.map_err(|e| failure::engine("a single sandbox", e))?;
        let mut worker = self.launched(launch, memory_mib, slot).await?;
        self.hello(&mut worker, None).await.map(|_| worker)
    }

    /// A worker with an init process of its own.
    async fn launched(
        &self,
        launch: &Launch,
        memory_mib: u64,
        slot: OwnedSemaphorePermit,
    ) -> Result<Worker, Error> {
        let (wires, theirs, cgroup) = self.wire()?;
        let limited = cgroup.limit_memory(memory_mib);
        limited.map_err(|e| failure::engine("a cgroup cannot be set up", e))?;
        let control = self.launch(launch, &theirs).await?;
        // From here on the worker's ends are the worker's alone, so their closing is noticed.
        drop(theirs);
        self.worker(wires, cgroup, Some(control), slot)
    }

    /// A cgroup whose memory is not limited yet, our ends, and what the worker gets: its ends, then
    /// cgroup files.
    pub(super) fn wire(&self) -> Result<(Wires, Vec<OwnedFd>, Cgroup), Error> {
        Self::wire_in(self.cgroups.make())
    }

    pub(super) fn wire_in(
        cgroup: io::Result<Cgroup>,
    ) -> Result<(Wires, Vec<OwnedFd>, Cgroup), Error> {
        let cgroup = cgroup.map_err(|e| failure::engine("a cgroup cannot be made", e))?;
        let made = Wires::new().and_then(|(wires, mut theirs)| {
            theirs.extend(cgroup.files()?);
            Ok((wires, theirs))
        });
        let (wires, theirs) = made.map_err(|e| failure::engine("a worker's pipes", e))?;
        Ok((wires, theirs, cgroup))
    }

    pub(super) fn worker(
        &self,
        wires: Wires,
        cgroup: Cgroup,
        control: Option<Control>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Worker, Error> {
        let max_frame = self.config.max_payload_bytes + FRAME_SLACK_BYTES;
        let max_log = self.config.max_log_bytes;
        let Wires { socket, stdout, stderr } = wires;
        let wired = || -> io::Result<_> {
            let stream = tokio::net::UnixStream::from_std(socket)?;
            let stdout = LogPipe::new(stdout, max_log)?;
            Ok((FrameSocket::new(stream, max_frame), stdout, LogPipe::new(stderr, max_log)?))
        };
        let (socket, stdout, stderr) = wired().map_err(|e| failure::engine("pipes", e))?;
        let (cgroup, graves) = (Some(cgroup), self.graves.clone());
        Ok(Worker::new(Parts { socket, stdout, stderr, cgroup, graves, control, slot }))
    }

    /// Waits for a worker's first message. When its program is one of an image, that is named.
    pub(super) async fn hello(
        &self,
        worker: &mut Worker,
        of_image: Option<&str>,
    ) -> Result<Vec<OwnedFd>, Error> {
        let limit = Duration::from_millis(self.config.load_timeout_ms);
        let what = "the sandbox did not start";
        let greeted = timeout(limit, worker.greet()).await;
        greeted.map_err(|_| failure::engine(what, self.late()))?.map_err(|error| match error {
            NoHello::Ended(ended) => failure::not_ready(what, of_image, &ended),
            NoHello::Broken(error) => failure::engine(what, error),
        })
    }

    fn late(&self) -> String {
        format!("it took longer than {} ms", self.config.load_timeout_ms)
    }

    /// Has a worker load the handler, after the steps that finish its sandbox.
    async fn load(
        &self,
        mut worker: Worker,
        d: &Deployed,
        steps: &[Step],
    ) -> Result<Worker, StartError> {
        let limit = Duration::from_millis(self.config.load_timeout_ms);
        let host = &d.kind.host;
        let classes = host.rules.run.keep(&host.version);
        let order = Order {
            steps,
            handler: &d.deployment.handler,
            directory: FUNCTION,
            environment: environment(d).into_iter().collect(),
            max_payload_bytes: self.config.max_payload_bytes,
            max_address_bytes: (!self.cgroups.limits_memory())
                .then(|| language::addresses(d.deployment.memory_mib)),
            load_timeout_ms: self.config.load_timeout_ms,
            classes: classes.as_ref().map(|name| format!("{FUNCTION}/{name}")),
        };
        let order = serde_json::to_vec(&order).map_err(|e| failure::engine("load", e))?;
        worker.order(&order).await;
        let listeners = self.hello(&mut worker, d.kind.program_of_image()).await?;
        if let Some(network) = &d.network {
            let carrier = Carrier::start(network, listeners, self.config.connections());
            worker.carrier = Some(carrier.map_err(|e| failure::engine("the network", e))?);
        }
        match timeout(limit, worker.loaded()).await {
            Ok(Ok(kept)) => {
                if let (Some(kept), Some(name)) = (kept, classes) {
                    source::keep(self.site.sources.join(&d.source).join(name), kept).await;
                }
                Ok(worker)
            }
            Ok(Err(error)) => Err(StartError::Handler(error)),
            Err(_) => {
                let text = format!("the handler does not load: {}", self.late());
                Err(StartError::Handler(failure::function(text)))
            }
        }
    }

    pub fn host(&self, language: &str) -> Result<&HostLanguage, Error> {
        self.hosts.get(language).ok_or_else(|| {
            let text = format!("this machine has no interpreter for {language}");
            Error::caller(code::ENGINE001, text)
        })
    }

    pub async fn launch(&self, launch: &Launch, theirs: &[OwnedFd]) -> Result<Control, Error> {
        self.launch_into(launch, theirs, Stdio::inherit()).await
    }

    /// The same, with a standard error for what comes without descriptors of its own.
    pub(super) async fn launch_into(
        &self,
        launch: &Launch,
        theirs: &[OwnedFd],
        stderr: Stdio,
    ) -> Result<Control, Error> {
        let failed = |e: io::Error| failure::engine("an init process cannot be started", e);
        let control = Control::start(&self.config.init_exe, stderr).map_err(failed)?;
        let message = serde_json::to_vec(launch).map_err(|e| failure::engine("launch", e))?;
        if message.len() > MAX_LAUNCH_BYTES {
            let text = format!("an environment is limited to {MAX_LAUNCH_BYTES} bytes");
            return Err(Error::caller(code::ENGINE003, text));
        }
        control.send(&message, theirs).await.map_err(failed)?;
        Ok(control)
    }
}

/// What every worker has besides the function's own variables.
pub fn base_environment() -> Vec<(String, String)> {
    let all = [
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TMPDIR", "/tmp"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Of a worker; what the function says goes before.
fn environment(deployed: &Deployed) -> Vec<(String, String)> {
    let network = deployed.network.iter().flat_map(|network| network.environment());
    let network = network.map(|(name, value)| (name.to_owned(), value)).collect();
    let own = deployed.deployment.environment.clone().into_iter().collect();
    merged([base_environment(), deployed.kind.environment().to_vec(), network, own])
}

/// One environment; what comes later goes before.
pub fn merged<const N: usize>(parts: [Vec<(String, String)>; N]) -> Vec<(String, String)> {
    let all: BTreeMap<_, _> = parts.into_iter().flatten().collect();
    all.into_iter().collect()
}

//! The process engine itself: the contract, carried out by the parts of this module.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use dispatch_driver::language::{Language, Languages, Start};
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Error, Health, ImageStore, Observed, Outcome, Phases,
    Result, Retry, SourceStore, Workshop,
};
use dispatch_model::{Logs, code};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::cgroup::{Cgroup, Cgroups};
use super::config::ProcessConfig;
use super::deployed::Deployed;
use super::failure;
use super::host::{HostLanguage, host_languages};
use super::image::Images;
use super::network::Network;
use super::pool::{Kind, Pools};
use super::probe::{self, Probe};
use super::root::Site;
use super::source::Sources;
use super::start::{StartError, Starter};
use super::worker::{Answer, Worker};
use super::workshop::ProcessWorkshop;
use super::{language, source};

const REAP_INTERVAL: Duration = Duration::from_millis(500);
/// The kernel lets a cgroup go a moment after its last process ended.
const GRAVE_INTERVAL: Duration = Duration::from_millis(25);

/// Runs functions in sandboxed processes of this machine.
pub struct ProcessEngine {
    starter: Arc<Starter>,
    sources: Sources,
    images: Images,
    deployments: DashMap<Uuid, Arc<Deployed>>,
    /// Those that may have idle workers: what the reaper looks at.
    live: Mutex<HashMap<Uuid, Arc<Deployed>>>,
    /// One permit for each worker there may be.
    slots: Arc<Semaphore>,
    busy: AtomicU64,
    probe: Probe,
    shop: Arc<ProcessWorkshop>,
    /// Held as long as the state directory is in use.
    _lock: std::fs::File,
}

impl ProcessEngine {
    /// Finds interpreters, probes the sandbox and starts warm pools. Without a store of images it
    /// runs the machine's own languages only.
    ///
    /// # Errors
    /// When the state directory cannot be used. A machine that cannot make sandboxes is no error
    /// here: the engine then says so in its health and refuses to run anything.
    pub async fn start(
        config: ProcessConfig,
        store: Arc<dyn SourceStore>,
        images: Option<Arc<dyn ImageStore>>,
    ) -> Result<Arc<Self>> {
        let failed = |e: std::io::Error| failure::engine("the process engine's directory", e);
        let config = prepare(config).map_err(failed)?;
        let lock = lock(&config).map_err(failed)?;
        let languages = Languages::load(&config.languages_dir);
        let languages = languages.map_err(|e| failure::engine("process.languages_dir", e))?;
        let runtimes = config.state_dir.join("runtimes");
        language::write_hosts(&runtimes, &languages).map_err(failed)?;
        let (cgroups, missing) = Cgroups::detect(config.max_processes, config.max_cpus);
        let (graves, buried) = mpsc::unbounded_channel();
        let hosts = host_languages(&languages).await;
        let hosts = hosts.into_iter().map(|h| (h.language.clone(), h)).collect();
        let slots = Arc::new(Semaphore::new(config.max_workers));
        let sources = Sources::new(config.state_dir.join("sources"), store);
        let images = Images::new(images, config.state_dir.join("copies"));
        let site = Site::new(&config);
        site.make_skeleton().map_err(failed)?;
        let pools = Pools::default();
        let starter = Arc::new(Starter { config, site, cgroups, languages, hosts, graves, pools });
        let probe = probe::run(&starter, missing).await;
        let unable = probe.unable.clone();
        let shop = ProcessWorkshop::new(starter.clone(), unable, probe.overlays);
        let engine = Arc::new(Self {
            starter,
            sources,
            images,
            deployments: DashMap::new(),
            live: Mutex::default(),
            slots,
            busy: AtomicU64::new(0),
            probe,
            shop: Arc::new(shop),
            _lock: lock,
        });
        tokio::spawn(bury(buried));
        tokio::spawn(reap(Arc::downgrade(&engine)));
        Ok(engine)
    }

    /// What builds images here.
    pub fn workshop(&self) -> Arc<dyn Workshop> {
        self.shop.clone()
    }

    fn able(&self) -> Result<()> {
        match &self.probe.unable {
            None => Ok(()),
            Some(why) => {
                Err(Error::backend(code::ENGINE004, Retry::After(Duration::from_secs(60)), why))
            }
        }
    }

    async fn deploy(&self, deployment: &Deployment) -> Result<Arc<Deployed>> {
        if let Some(found) = self.deployments.get(&deployment.id) {
            return Ok(found.clone());
        }
        self.able()?;
        let kind = self.kind(deployment).await?;
        let network = Network::of(&deployment.egress, self.starter.config.egress_to_machine)?;
        let source = self.sources.ensure(deployment, &kind.host.rules.source).await?;
        let made = Arc::new(Deployed::new(deployment.clone(), kind, source, network));
        Ok(self.deployments.entry(deployment.id).or_insert(made).clone())
    }

    /// What runs the deployment. An image's interpreter is made warm at once, so that the first
    /// call does not wait for that.
    async fn kind(&self, deployment: &Deployment) -> Result<Kind> {
        let language = &deployment.language;
        let Some(digest) = &deployment.image_digest else {
            check_image(deployment)?;
            let host = self.starter.host(language)?;
            self.prepare(host).await?;
            return Ok(Kind { host: host.clone(), image: None });
        };
        let on_machine = deployment.image_url.starts_with("host:");
        let (site, overlays) = (&self.starter.site, self.probe.overlays);
        let image = self.images.get(digest, on_machine, site, overlays).await?;
        let rules = self.starter.languages.get(language).ok_or_else(|| {
            let text = format!("the process engine does not know the language {language:?}");
            Error::caller(code::ENGINE001, text)
        })?;
        let host = match on_machine {
            true => self.starter.host(language)?.clone(),
            false => image.host(rules),
        };
        let kind = Kind { host, image: Some(image) };
        if rules.run.start == Start::Jar {
            self.prepare(self.starter.host(language)?).await?;
        }
        if language::is_forked(&kind.host) {
            self.starter.refill(&kind);
        }
        Ok(kind)
    }

    async fn prepare(&self, host: &HostLanguage) -> Result<()> {
        if host.rules.run.start == Start::Jar {
            host.prepared.get_or_try_init(|| self.starter.prepare_java(host)).await?;
        }
        Ok(())
    }

    /// A permit for one more worker; an idle one of another function makes room if need be.
    async fn slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Ok(slot);
        }
        self.evict();
        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await;
        let slot = slot.map_err(|_| busy("all workers of the server were busy"))?;
        slot.map_err(|e| failure::engine("the engine is stopping", e))
    }

    /// Stops the worker that was idle longest of all.
    fn evict(&self) {
        let now = Instant::now();
        let live: Vec<_> = self.live().values().cloned().collect();
        let oldest = live.iter().filter_map(|d| Some((d.oldest_idle(now)?, d)));
        if let Some((_, deployed)) = oldest.max_by_key(|(idle, _)| *idle) {
            deployed.stop_oldest();
        }
    }

    async fn new_worker(
        &self,
        deployed: &Arc<Deployed>,
        deadline: Instant,
    ) -> std::result::Result<Worker, StartError> {
        self.able()?;
        let slot = self.slot(deadline).await?;
        self.live().insert(deployed.deployment.id, deployed.clone());
        let start = self.starter.start(deployed, slot);
        let started = timeout_at(deadline, start).await;
        started
            .unwrap_or_else(|_| Err(busy("no worker was started in time").of_deployment().into()))
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Deployed>>> {
        self.live.lock().expect("nothing panics while it holds this lock")
    }

    async fn run(&self, deployed: &Arc<Deployed>, call: &Call) -> Result<Outcome> {
        let begun = Instant::now();
        let deadline = Instant::from_std(call.deadline);
        let turn = timeout_at(deadline, deployed.turns.acquire()).await;
        let turn =
            turn.map_err(|_| busy("all workers of the function were busy").of_deployment())?;
        let _turn = turn.map_err(|e| failure::engine("the deployment is gone", e))?;
        let _busy = Busy::count(&self.busy);
        let mut cold = false;
        loop {
            let mut worker = match deployed.take_idle() {
                Some(worker) => worker,
                None => {
                    cold = true;
                    match self.new_worker(deployed, deadline).await {
                        Ok(worker) => worker,
                        Err(StartError::Engine(error)) => return Err(error),
                        Err(StartError::Handler(error)) => {
                            let phases =
                                Phases { wait: begun.elapsed(), cold, ..Phases::default() };
                            return Ok(Outcome {
                                result: Err(error),
                                logs: Logs::default(),
                                phases,
                            });
                        }
                    }
                }
            };
            let wait = begun.elapsed();
            let ends = deadline.min(Instant::now() + deployed.deployment.timeout);
            let max_bytes = self.starter.config.max_payload_bytes;
            let (answer, logs) = worker.call(call, ends, max_bytes).await;
            let phases = Phases { wait, handler: begun.elapsed() - wait, cold };
            match answer {
                // It died while it was idle; another one takes the call, which nobody has seen.
                Answer::NotReached => {}
                Answer::Final(result) => return Ok(Outcome { result, logs, phases }),
                Answer::Reusable(result) => {
                    deployed.put_idle(worker);
                    return Ok(Outcome { result, logs, phases });
                }
            }
        }
    }
}

#[async_trait]
impl Engine for ProcessEngine {
    fn name(&self) -> &str {
        "process"
    }

    fn capabilities(&self) -> Capabilities {
        let mut languages: Vec<_> = self.starter.hosts.keys().cloned().collect();
        languages.sort();
        // Java's workers need classes that this machine's compiler makes.
        let can = |rules: &&Arc<Language>| {
            rules.run.start != Start::Jar || languages.contains(&rules.name)
        };
        let on_images = self.starter.languages.iter().filter(can).map(|l| l.name.clone());
        let on_images = on_images.collect();
        let missing = self.probe.missing.clone();
        Capabilities { languages, on_images, missing, ..Capabilities::default() }
    }

    fn needs(&self, language: &str) -> Option<String> {
        let found = self.starter.hosts.contains_key(language);
        let detect = self.starter.languages.get(language)?.detect.as_ref();
        let program = detect.map(|detect| &detect.program).filter(|_| !found)?;
        Some(format!("The process engine needs `{program}` in PATH for it"))
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let deployed = self.deploy(deployment).await?;
        if deployed.idle_count() > 0 {
            return Ok(());
        }
        let limit = Duration::from_millis(self.starter.config.load_timeout_ms);
        match self.new_worker(&deployed, Instant::now() + limit).await {
            Ok(worker) => {
                deployed.put_idle(worker);
                Ok(())
            }
            Err(StartError::Engine(error)) => Err(error),
            Err(StartError::Handler(error)) => {
                self.remove(deployment.id).await?;
                Err(failure::not_loaded(&error))
            }
        }
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        self.deploy(deployment).await.map(drop)
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        let workers = |d: &Arc<Deployed>| u32::try_from(d.idle_count()).unwrap_or(u32::MAX);
        Ok(match self.deployments.get(&id) {
            Some(deployed) => Observed::Ready { workers: workers(&deployed) },
            None => Observed::Absent,
        })
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        let Some((_, deployed)) = self.deployments.remove(&id) else { return Ok(()) };
        self.live().remove(&id);
        deployed.retire();
        if !self.deployments.iter().any(|d| d.source == deployed.source) {
            self.sources.remove(&deployed.source).await;
        }
        Ok(())
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        let deployed = self.deployments.get(&id).map(|d| d.clone());
        let deployed = deployed.ok_or_else(|| {
            let text = format!("the deployment {id} is not on this server");
            Error::backend(code::ENGINE007, Retry::Now, text).unreached()
        })?;
        self.run(&deployed, &call).await
    }

    async fn health(&self) -> Health {
        match &self.probe.unable {
            None => Health { ok: true, message: "sandboxes can be made".to_owned() },
            Some(why) => Health { ok: false, message: why.clone() },
        }
    }

    fn workers(&self) -> (u64, u64) {
        let busy = self.busy.load(Ordering::Relaxed);
        let idle = self.live().values().map(|d| d.idle_count() as u64).sum();
        (busy, idle)
    }

    async fn shutdown(&self) {
        let live: Vec<_> = self.live().drain().map(|(_, d)| d).collect();
        live.iter().for_each(|d| d.retire());
        self.starter.pools.clear().await;
    }
}

/// Counts a call as long as it lives, also when its future is dropped.
struct Busy<'a>(&'a AtomicU64);

impl<'a> Busy<'a> {
    fn count(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy(what: &str) -> Error {
    let text = format!("{what} until the call's deadline");
    Error::backend(code::ENGINE005, Retry::Now, text).unreached()
}

fn check_image(deployment: &Deployment) -> Result<()> {
    match deployment.image_url.strip_prefix("host:") {
        Some(language) if language == deployment.language => Ok(()),
        _ => {
            let (url, language) = (&deployment.image_url, &deployment.language);
            let text = format!("the process engine runs images `host:{language}`, not {url:?}");
            Err(Error::caller(code::ENGINE001, text))
        }
    }
}

fn prepare(mut config: ProcessConfig) -> std::io::Result<ProcessConfig> {
    std::fs::create_dir_all(&config.state_dir)?;
    // Plans are carried out elsewhere, so their paths must not depend on where the server runs.
    config.state_dir = config.state_dir.canonicalize()?;
    // Of a server that was killed.
    for name in ["copies", "tasks"] {
        super::tree::remove(&config.state_dir.join(name))?;
    }
    for name in ["copies", "root", "runtimes", "sources", "tasks"] {
        source::open_directory(&config.state_dir.join(name))?;
    }
    for entry in std::fs::read_dir(config.state_dir.join("sources"))? {
        let entry = entry?;
        // Half-unpacked by a server that was killed.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(config)
}

fn lock(config: &ProcessConfig) -> std::io::Result<std::fs::File> {
    let file = std::fs::File::create(config.state_dir.join("lock"))?;
    file.try_lock().map_err(|_| std::io::Error::other("another server uses it"))?;
    Ok(file)
}

async fn bury(mut graves: mpsc::UnboundedReceiver<Cgroup>) {
    let mut waiting: Vec<Cgroup> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Some(group) = graves.recv().await else { return };
            waiting.push(group);
        }
        while let Ok(group) = graves.try_recv() {
            waiting.push(group);
        }
        tokio::time::sleep(GRAVE_INTERVAL).await;
        waiting.retain_mut(|group| !group.remove());
    }
}

async fn reap(engine: std::sync::Weak<ProcessEngine>) {
    let mut ticks = tokio::time::interval(REAP_INTERVAL);
    loop {
        ticks.tick().await;
        let Some(engine) = engine.upgrade() else { return };
        let now = Instant::now();
        let mut live = engine.live();
        live.retain(|_, deployed| {
            deployed.stop_aged(now);
            // Busy workers come back to a deployment that somebody else still holds.
            deployed.idle_count() > 0 || Arc::strong_count(deployed) > 2
        });
    }
}

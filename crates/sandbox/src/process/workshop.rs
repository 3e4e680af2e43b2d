//! The workshop: commands that build images, each in a sandbox of its own.
//!
//! A command runs over an overlay of the layers, so what it changed is in one directory afterwards.
//! It is root there, as far as it can tell: it is user 0 of a user namespace with that one user,
//! and a filter answers the calls that would need others. It has no network but what its task
//! names, by the same means as functions.

mod checked;
mod running;
mod scratch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::{Error, Interpreter, Result, Retry, Task, TaskOutput, Workshop};
use dispatch_model::code;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use self::running::Running;
use self::scratch::Scratch;
use super::cgroup::Cgroups;
use super::frame::{self, Frame};
use super::log::LogPipe;
use super::network::{Carrier, Network};
use super::plan::{Launch, Program};
use super::root::TaskRoot;
use super::start::{Starter, merged};
use super::{failure, language};

/// How long the kernel may take to end what a command left behind.
const END_WAIT: Duration = Duration::from_secs(10);

/// Runs commands over layers, with what the process engine has.
pub struct ProcessWorkshop {
    starter: Arc<Starter>,
    cgroups: Cgroups,
    unable: Option<String>,
    overlays: bool,
}

impl ProcessWorkshop {
    pub(super) fn new(starter: Arc<Starter>, unable: Option<String>, overlays: bool) -> Self {
        // The engine has said already what is missing; CPUs are named here so that they are found.
        let (cgroups, _) = Cgroups::detect(starter.config.max_task_processes, 1.0);
        Self { starter, cgroups, unable, overlays }
    }

    /// The command itself, over directories that go whatever comes of it.
    async fn run_over(
        &self,
        scratch: &mut Scratch,
        task: &Task,
        network: Option<&Arc<Network>>,
        ends: Instant,
    ) -> Result<TaskOutput> {
        let limits_memory = self.cgroups.limits_memory();
        let root = TaskRoot {
            ground: scratch.ground(),
            shown: checked::shown(task)?,
            network: network.map(Arc::as_ref),
            directory: task.directory.clone(),
            max_data_bytes: (!limits_memory).then(|| language::addresses(task.memory_mib)),
        };
        let proxies = network.iter().flat_map(|network| network.environment());
        let proxies = proxies.map(|(name, value)| (name.to_owned(), value)).collect();
        let launch = Launch {
            steps: self.starter.site.task(&root),
            program: Program::Command(task.command.clone()),
            environment: merged([proxies, task.environment.clone()]),
        };
        let mut worker = self.start(task, &launch, network).await?;
        let output = self.finish(&mut worker, task, ends).await?;
        scratch.collect().await?;
        Ok(output)
    }

    /// Starts the command; it says hello before it runs.
    async fn start(
        &self,
        task: &Task,
        launch: &Launch,
        network: Option<&Arc<Network>>,
    ) -> Result<Running> {
        let failed = |e: std::io::Error| failure::engine("a task cannot be started", e);
        let (wires, mut theirs, cgroup) = Starter::wire_in(self.cgroups.make_with(task.max_cpus))?;
        cgroup.limit_memory(task.memory_mib).map_err(failed)?;
        // Both streams go one way, so that their order is kept.
        theirs[2] = theirs[1].try_clone().map_err(failed)?;
        let control = self.starter.launch(launch, &theirs).await?;
        drop(theirs);
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let slot = slot.map_err(|e| failure::engine("a task", e))?;
        let stdout = wires.stdout.try_clone().map_err(failed)?;
        let mut worker = Running(self.starter.worker(wires, cgroup, Some(control), slot)?);
        worker.stdout = LogPipe::ending(stdout, task.max_output_bytes).map_err(failed)?;
        let listeners = self.starter.hello(&mut worker, None).await?;
        if let Some(network) = network {
            let carrier = Carrier::start(network, listeners, self.starter.config.connections());
            worker.carrier = Some(carrier.map_err(failed)?);
        }
        Ok(worker)
    }

    async fn finish(&self, worker: &mut Running, task: &Task, ends: Instant) -> Result<TaskOutput> {
        let told = timeout_at(ends, worker.next()).await;
        if told.is_err() {
            worker.kill();
        }
        if timeout(END_WAIT, worker.ended()).await.is_err() {
            return Err(failure::engine("a task", "its processes do not end"));
        }
        let mut output = worker.stdout.text();
        let Ok(told) = told else { return Err(late(task, &output)) };
        if worker.out_of_memory() {
            output += &format!("\n[dispatch: more than {} MiB of memory]\n", task.memory_mib);
        }
        match told {
            Ok(Some(Frame { kind: frame::RESULT, body, .. })) if body.len() == 4 => {
                let status = i32::from_le_bytes(body[..].try_into().expect("it has four bytes"));
                Ok(TaskOutput { status, output })
            }
            // Process 1 itself was ended, which only the kernel does, for want of memory.
            _ => Ok(TaskOutput { status: 128 + libc::SIGKILL, output }),
        }
    }
}

#[async_trait]
impl Workshop for ProcessWorkshop {
    async fn run(&self, task: Task) -> Result<TaskOutput> {
        if let Some(why) = &self.unable {
            let again = Retry::After(Duration::from_secs(60));
            return Err(Error::backend(code::ENGINE004, again, why));
        }
        let ends = Instant::now() + task.timeout;
        checked::task(&task)?;
        let network = Network::of(&task.egress, self.starter.config.egress_to_machine)?;
        let network = network.map(Arc::new);
        let mut scratch = Scratch::make(&task, &self.starter, self.overlays).await?;
        let ran = self.run_over(&mut scratch, &task, network.as_ref(), ends).await;
        scratch.remove().await;
        ran
    }

    fn interpreter(&self, language: &str) -> Option<Interpreter> {
        let host = self.starter.hosts.get(language)?;
        Some(Interpreter { path: host.interpreter.clone(), prefixes: host.prefixes.clone() })
    }

    fn unable(&self) -> Option<String> {
        self.unable.clone()
    }
}

fn late(task: &Task, output: &str) -> Error {
    let command = task.command.join(" ");
    let (seconds, words) = (task.timeout.as_secs_f64(), failure::last_words(output));
    let text = format!("{command:?} went over its {seconds} s; it last said: {words}");
    Error::backend(code::ENGINE006, Retry::Now, text)
}

//! Workshops: what runs the commands that build images.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// Runs commands over the layers of an image, in a sandbox.
#[async_trait]
pub trait Workshop: Send + Sync + 'static {
    /// Runs one command to its end. What it changed of the root is in [`Task::upper`] then, as an
    /// overlay keeps it: whiteouts are character devices 0:0, opaque directories have the extended
    /// attribute `user.overlay.opaque`. A failed or cancelled task leaves `upper` in any state;
    /// its owner throws it away. When the future has ended or is dropped, nothing writes to it.
    ///
    /// # Errors
    /// `Fault::Caller` when the task asks for what cannot be had (an egress rule that is no host),
    /// `Fault::Backend` when the sandbox cannot be made or the task went over its time. A command
    /// that fails is no error: see [`TaskOutput::status`].
    async fn run(&self, task: Task) -> Result<TaskOutput>;

    /// The machine's own interpreter of a language, for tasks without layers.
    fn interpreter(&self, language: &str) -> Option<Interpreter>;

    /// What this machine lacks for building, for the operator; `None` when nothing.
    fn unable(&self) -> Option<String>;
}

/// One command and what it may touch.
///
/// It runs as user 0 of a user namespace with that one user: whatever it makes belongs to root,
/// and a change of owner is reported as done but does nothing.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// Unpacked layers, the lowest first. Empty: the machine's own programs and libraries, read
    /// only, as for functions on `host:LANGUAGE`.
    pub layers: Vec<PathBuf>,
    /// An existing, empty directory that takes what the command changes. `None`: the root is read
    /// only. Without layers there is nothing to change but `outputs`.
    pub upper: Option<PathBuf>,
    /// Files and directories of the machine the command reads: (where it is, where it appears).
    pub inputs: Vec<(PathBuf, String)>,
    /// Directories of the machine the command writes to: (where it is, where it appears).
    pub outputs: Vec<(PathBuf, String)>,
    /// The program is looked for in the `PATH` of `environment`.
    pub command: Vec<String>,
    pub directory: String,
    /// All of it; nothing of the server's own is added.
    pub environment: Vec<(String, String)>,
    /// Hosts it may connect to, spelled as a function's `egress`.
    pub egress: Vec<String>,
    pub memory_mib: u64,
    /// 0.0 is no limit.
    pub max_cpus: f64,
    pub timeout: Duration,
    /// Bytes of the output that are kept: its end, which is where package managers say why.
    pub max_output_bytes: usize,
}

/// An interpreter of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interpreter {
    pub path: PathBuf,
    /// Directories it needs, those that every task has (`/usr`, …) among them.
    pub prefixes: Vec<PathBuf>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskOutput {
    /// The exit status; 128 and the signal's number for a command that was killed.
    pub status: i32,
    /// The end of what it printed on both streams, in the order it came.
    pub output: String,
}

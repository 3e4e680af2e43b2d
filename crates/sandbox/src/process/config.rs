//! Settings of the process engine.

use std::path::PathBuf;
use std::time::Duration;

use dispatch_driver::language::{LanguageError, Languages};
use serde::Deserialize;

use super::network::Limits;

/// How the process engine is set up. Sizes are bytes unless the name says otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Unpacked sources, language hosts and locks live here; made when it is missing.
    pub state_dir: PathBuf,
    /// Kept of each of a run's two streams; what is cut is marked.
    pub max_log_bytes: usize,
    /// Largest result of a call.
    pub max_payload_bytes: usize,
    /// Workers of all functions together.
    pub max_workers: usize,
    /// Workers without a function kept ready, for each language that forks its workers.
    pub spare_workers: usize,
    /// Processes and threads of one worker.
    pub max_processes: u64,
    /// CPUs one worker may use at most; 0 is no limit.
    pub max_cpus: f64,
    /// The private `/tmp` of a worker, in MiB. It counts as the worker's memory.
    pub tmp_mib: u64,
    /// Whether functions may name the machine itself (`localhost`) in their `egress`.
    pub egress_to_machine: bool,
    /// Connections to the hosts of its `egress` one worker may have; more wait.
    pub max_connections: usize,
    /// After so long without a byte either way such a connection is closed.
    pub connection_idle_ms: u64,
    /// Longest time a worker may take to start and load its handler.
    pub load_timeout_ms: u64,
    /// Directory of the operator's own languages, a folder each; empty: there are none.
    pub languages_dir: PathBuf,
    /// The user and group handlers run as when the server is root.
    pub uid: u32,
    /// Whether layers of images are mounted over one another; else they are copied, as where that is
    /// not allowed.
    pub overlays: bool,
    /// The user and group that own unpacked layers, and whom commands that build images change them
    /// as, when the server is root.
    pub image_uid: u32,
    /// Processes and threads of one command that builds an image.
    pub max_task_processes: u64,
    /// The private `/tmp` of such a command, in MiB. It counts as its memory.
    pub task_tmp_mib: u64,
    /// The binary re-executed as `<exe> __sandbox-init`.
    pub init_exe: PathBuf,
}

impl ProcessConfig {
    /// The languages there are: the built-in ones, and the operator's.
    ///
    /// # Errors
    /// What is wrong with one of the operator's.
    pub fn languages(&self) -> Result<Languages, LanguageError> {
        Languages::load(&self.languages_dir)
    }

    /// What a worker that has egress may do with it.
    pub(super) fn connections(&self) -> Limits {
        let idle = Duration::from_millis(self.connection_idle_ms);
        Limits { max_connections: self.max_connections, idle }
    }
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("dispatch-process"),
            max_log_bytes: 64 << 10,
            max_payload_bytes: 6 << 20,
            max_workers: 256,
            spare_workers: 1,
            max_processes: 64,
            max_cpus: 0.0,
            tmp_mib: 64,
            egress_to_machine: false,
            max_connections: 64,
            connection_idle_ms: 300_000,
            load_timeout_ms: 30_000,
            languages_dir: PathBuf::new(),
            uid: 64_200,
            overlays: true,
            image_uid: 64_201,
            max_task_processes: 512,
            task_tmp_mib: 512,
            init_exe: PathBuf::from("/proc/self/exe"),
        }
    }
}

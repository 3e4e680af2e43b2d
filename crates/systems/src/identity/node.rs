//! Providers that are packages of Node.

use std::fs::{self, File};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::group::Group;
use crate::programs::{self, free_address, has};

const START: Duration = Duration::from_secs(30);

/// A running provider; ended when dropped.
pub struct Node {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    _running: Group,
    _state: TempDir,
}

impl Node {
    /// Runs a script with the package's folder, the port, and what more it takes as arguments.
    /// None, plainly said, where the package is not there.
    pub fn start(package: &str, script: &str, more: &[&str]) -> Option<Self> {
        if !has(&["node"]) {
            return None;
        }
        let folder = programs::tools().join("identity/node_modules").join(package);
        if !folder.is_dir() {
            println!("could not run: {package} is not here; `cargo xtask test` installs it");
            return None;
        }
        let state = tempfile::tempdir().expect("a temporary directory");
        let (file, log) = (state.path().join("provider.mjs"), state.path().join("log"));
        fs::write(&file, script).expect("a script");
        let address = free_address();
        let mut command = Group::command("node");
        command.arg(&file).arg(&folder).arg(address.port().to_string()).args(more);
        command.env_remove("NODE_OPTIONS");
        let output = File::create(&log).expect("a log");
        command.stdout(Stdio::from(output.try_clone().expect("a log"))).stderr(output);
        let node = Self {
            url: format!("http://{address}"),
            _running: Group::start(command),
            _state: state,
        };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "{package} does not listen; its log:\n{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(node)
    }
}

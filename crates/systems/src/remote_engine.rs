//! The example of a remote engine, in Python: a server of its own that can go away and come back.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::programs::free_address;

/// Longest time to its first connection.
const START: Duration = Duration::from_secs(30);

/// A running example; ended when dropped.
pub struct RemoteEngine {
    address: SocketAddr,
    token: String,
    child: Option<Child>,
    files: TempDir,
}

impl RemoteEngine {
    /// Takes only requests with this token.
    pub fn start(token: &str) -> Self {
        let files = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(files.path().join("token"), format!("{token}\n")).expect("a token");
        let address = free_address();
        let mut engine = Self { address, token: token.to_owned(), child: None, files };
        engine.go_on();
        engine
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Ends it as a crash does: it forgets everything.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, at the same address.
    pub fn go_on(&mut self) {
        self.end();
        let mut command = Command::new("python3");
        command.arg(program()).args(["--port", &self.address.port().to_string()]);
        command.arg("--token-file").arg(self.files.path().join("token"));
        self.child = Some(command.spawn().expect("python3 starts"));
        let deadline = Instant::now() + START;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "the example does not listen on {}", self.address);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RemoteEngine {
    fn drop(&mut self) {
        self.end();
    }
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/engines/remote-python/engine.py")
}

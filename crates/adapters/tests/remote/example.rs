//! The example in Python: a real server, started and ended here.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dispatch_adapters::engine::remote::bed::RemoteBed;
use dispatch_driver::conformance::{self, Bed, Program, Tried};
use dispatch_driver::{Deployment, Engine};
use dispatch_systems::programs::{free_address, has};

pub const TOKEN: &str = "a token of the tests";
const START: Duration = Duration::from_secs(30);

/// The example, and a way to take it away.
pub struct Example {
    address: SocketAddr,
    child: Mutex<Child>,
    bed: Option<RemoteBed>,
    files: tempfile::TempDir,
}

impl Example {
    pub async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let address = free_address();
        let child = Mutex::new(run(address, files.path()));
        let mut example = Self { address, child, bed: None, files };
        example.bed = Some(RemoteBed::new(&example.url(), Some(TOKEN), None).await.unwrap());
        example
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn end(&self) {
        let mut child = self.child.lock().unwrap();
        // Both fail only when it has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(address: SocketAddr, files: &Path) -> Child {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = file.join("../../examples/engines/remote-python/engine.py");
    let mut command = Command::new("python3");
    command.arg(file).args(["--port", &address.port().to_string()]);
    command.arg("--token-file").arg(files.join("token"));
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "the example does not listen on {address}");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

#[async_trait]
impl Bed for Example {
    fn engine(&self) -> Arc<dyn Engine> {
        self.bed.as_ref().unwrap().engine()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        self.bed.as_ref().unwrap().deployment(program).await
    }

    async fn restart(&self) -> Tried<()> {
        self.bed.as_ref().unwrap().restart().await
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        self.end();
        if !gone {
            *self.child.lock().unwrap() = run(self.address, self.files.path());
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_python_keeps_the_contract() {
    if !has(&["python3"]) {
        return;
    }
    let example = Example::start().await;
    conformance::run(&example).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_said_in_health() {
    if !has(&["python3"]) {
        return;
    }
    let example = Example::start().await;
    for token in [None, Some("another")] {
        let why = RemoteBed::new(&example.url(), token, None).await.err().unwrap();
        assert!(why.contains("token") && why.contains(&example.url()), "{why}");
        assert!(!why.contains("another"), "{why}");
    }
}

//! Moto, another stand-in of AWS: it runs each call of a function in a container of its own, as
//! Docker's engine makes it from an image with this machine's Python.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::docker::{self, Docker};
use crate::image::python_layout;
use crate::programs::{free_address, has, has_root_and, run};

const START: Duration = Duration::from_secs(60);
/// The image that functions run in.
const IMAGE: &str = "dispatch-test/lambda:python";
/// What moto unpacks archives with.
const TOOLS: &str = "busybox:latest";

/// Moto's server and the engine it runs containers with; both end when it is dropped.
pub struct Moto {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    child: Child,
    _docker: Docker,
    _state: TempDir,
}

impl Moto {
    /// None, plainly said, where it cannot be.
    pub async fn start() -> Option<Self> {
        let program = super::program("moto_server")?;
        if !has_root_and(docker::PROGRAMS) || !has(&["busybox", "tar"]) {
            return None;
        }
        let state = tempfile::tempdir().expect("a temporary directory");
        python_layout(state.path(), "12").await;
        let docker = Docker::start();
        let root = state.path().join("root-12");
        fs::write(root.join("runtime.py"), include_str!("runtime.py")).expect("a file");
        let entry = r#"ENTRYPOINT ["/opt/python/bin/python3", "-I", "-B", "/runtime.py"]"#;
        for (image, change) in [(IMAGE, entry), (TOOLS, "CMD [\"sh\"]")] {
            let archive = state.path().join("image.tar").display().to_string();
            let root = root.display().to_string();
            run("tar", &["--create", "--file", &archive, "--directory", &root, "."]);
            docker.run(&["import", "--change", change, &archive, image]);
        }
        let address = free_address();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        command.env("DOCKER_HOST", docker.socket()).env("MOTO_DOCKER_LAMBDA_IMAGE", IMAGE);
        command.env("MOTO_DOCKER_NETWORK_MODE", "host").env("NO_PROXY", "*");
        let log = state.path().join("log");
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
        let child = command.spawn().expect("moto starts");
        let url = format!("http://{address}");
        let moto = Self { url, child, _docker: docker, _state: state };
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(address).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "moto does not listen; its log:\n{}", said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        super::make_role(&moto.url);
        Some(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Moto, another stand-in of AWS: it runs each call of a function in a container of its own, as
//! Docker's engine makes it from an image with this machine's Python.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::docker::{self, Docker};
use crate::group::Group;
use crate::image::python;
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
    // Before the engine, whose containers it ends.
    _running: Group,
    _docker: Docker,
    _state: TempDir,
}

impl Moto {
    /// None, plainly said, where it cannot be.
    pub fn start() -> Option<Self> {
        let program = super::program("moto_server")?;
        if !has_root_and(docker::PROGRAMS) || !has(&["busybox", "tar"]) {
            return None;
        }
        let state = tempfile::tempdir().expect("a temporary directory");
        let docker = Docker::start();
        let root = state.path().join("root");
        fs::create_dir_all(root.join("bin")).expect("a directory");
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox");
        // What moto starts to have a place for the archive.
        std::os::unix::fs::symlink("busybox", root.join("bin/sleep")).expect("a link");
        import(&docker, &root, TOOLS, "CMD [\"sleep\"]");
        python(&root);
        fs::write(root.join("runtime.py"), include_str!("runtime.py")).expect("a file");
        let entry = r#"ENTRYPOINT ["/opt/python/bin/python3", "-I", "-B", "/runtime.py"]"#;
        import(&docker, &root, IMAGE, entry);
        let address = free_address();
        let mut command = Group::command(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        command.env("DOCKER_HOST", docker.host()).env("MOTO_DOCKER_LAMBDA_IMAGE", IMAGE);
        command.env("MOTO_DOCKER_NETWORK_MODE", "host").env("NO_PROXY", "*");
        let log = state.path().join("log");
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
        let url = format!("http://{address}");
        let running = Group::start(command);
        let moto = Self { url, _running: running, _docker: docker, _state: state };
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(address).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "moto does not listen; its log:\n{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        super::make_role(&moto.url);
        Some(moto)
    }
}

/// Makes an image of a directory.
fn import(docker: &Docker, root: &Path, image: &str, change: &str) {
    let archive = root.with_extension("tar").display().to_string();
    let root = root.display().to_string();
    run("tar", &["--create", "--file", &archive, "--directory", &root, "."]);
    docker.run(&["import", "--change", change, &archive, image]);
}

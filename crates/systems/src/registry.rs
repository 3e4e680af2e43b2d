//! A registry of images: Debian's `docker-registry`, on loopback and with its own directory.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{free_address, run};

/// What it takes to start one and to speak to it.
pub const PROGRAMS: &[&str] = &["docker-registry", "skopeo", "umoci"];

/// Longest time to its first connection.
const START: Duration = Duration::from_secs(20);

/// A running registry without TLS; ended when dropped.
pub struct Registry {
    /// `127.0.0.1:PORT`.
    pub address: String,
    child: Child,
    // The last field: the registry has ended when its directory goes.
    state: TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let data = state.path().join("data");
        Self::serve(state, &data, "")
    }

    /// Another one with the same content, which asks for a password. It takes `htpasswd`.
    pub fn guarded(&self, user: &str, password: &str) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let users = state.path().join("users");
        let user = run("htpasswd", &["-Bbn", user, password]);
        std::fs::write(&users, user + "\n").expect("its users");
        let guard = format!("auth: {{htpasswd: {{realm: tests, path: {}}}}}\n", users.display());
        Self::serve(state, &self.state.path().join("data"), &guard)
    }

    fn serve(state: TempDir, data: &Path, more: &str) -> Self {
        let address = free_address().to_string();
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n{more}storage:\n  \
             filesystem: {{rootdirectory: {}}}\n",
            data.display()
        );
        let file = state.path().join("settings.yml");
        std::fs::write(&file, settings).expect("its settings");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("docker-registry starts");
        let deadline = Instant::now() + START;
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen on {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { address, child, state }
    }

    /// Pushes an image of a layout as `name:tag`, and returns its digest.
    pub fn push(&self, layout: &Path, tag: &str, name: &str) -> String {
        let from = format!("oci:{}:{tag}", layout.display());
        let to = self.reference(name);
        run("skopeo", &["copy", "--quiet", "--dest-tls-verify=false", &from, &to]);
        let told = self.inspect(name);
        told["Digest"].as_str().expect("an image has a digest").to_owned()
    }

    /// What skopeo tells of an image.
    pub fn inspect(&self, name: &str) -> Value {
        let told = run("skopeo", &["inspect", "--tls-verify=false", &self.reference(name)]);
        serde_json::from_str(&told).expect("skopeo tells JSON")
    }

    /// Unpacks an image with umoci: `config.json`, and its files below `rootfs`.
    pub fn unpack(&self, name: &str, into: &Path) {
        let layout = tempfile::tempdir().expect("a temporary directory");
        let to = format!("{}:image", layout.path().display());
        let (from, oci) = (self.reference(name), format!("oci:{to}"));
        run("skopeo", &["copy", "--quiet", "--src-tls-verify=false", &from, &oci]);
        run("umoci", &["unpack", "--image", &to, &into.display().to_string()]);
    }

    fn reference(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

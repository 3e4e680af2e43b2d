//! A content store, an image to begin with, and a registry.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dispatch_images::layer::Limits;
use dispatch_images::registry::{Registries, Settings};
use dispatch_images::{Content, Digest};
use serde_json::json;

pub struct Bed {
    pub content: Content,
    pub directory: tempfile::TempDir,
}

pub fn limits() -> Limits {
    // As a server that is root has it.
    let root = rustix::process::geteuid().is_root();
    Limits { max_bytes: 100 << 20, max_entries: 10_000, owner: root.then_some((64201, 64201)) }
}

impl Bed {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let content = Content::open(&directory.path().join("content"), limits()).unwrap();
        Self { content, directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An OCI layout with one image: busybox, and an os-release.
    pub fn layout(&self) -> PathBuf {
        let root = self.path("rootfs");
        for directory in ["bin", "etc", "tmp"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        let busybox = Path::new("/bin/busybox");
        assert!(busybox.exists(), "could not run: busybox-static is not installed");
        std::fs::copy(busybox, root.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        std::fs::write(root.join("etc/os-release"), "ID=alpine\nVERSION_ID=3.20\n").unwrap();
        let layout = self.path("layout");
        let (at, image) = (layout.display(), format!("{}:base", layout.display()));
        run("umoci", &["init", "--layout", &at.to_string()]);
        run("umoci", &["new", "--image", &image]);
        let root = root.display().to_string();
        run("umoci", &["insert", "--rootless", "--image", &image, &root, "/"]);
        layout
    }

    pub fn registries(&self, plain: &str) -> Registries {
        Registries::new(settings(plain)).unwrap()
    }
}

pub fn settings(plain: &str) -> Settings {
    Settings {
        plain_http: vec![plain.to_owned()],
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(2),
        max_image_bytes: 100 << 20,
        ..Settings::default()
    }
}

/// Runs a program to its end and returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("could not run: {program}: {e}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Debian's docker-registry on a free port.
pub struct Registry {
    pub address: String,
    child: Child,
    _state: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With more of its configuration.
    pub fn start_with(more: &str) -> Self {
        Self::start_as(more, "")
    }

    /// With more of its configuration's section `http`.
    pub fn start_with_http(http: &str) -> Self {
        Self::start_as("", &format!(", {http}"))
    }

    fn start_as(more: &str, http: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let address = free_address().to_string();
        let mut file = std::fs::File::create(state.path().join("c.yml")).unwrap();
        let root = state.path().join("data");
        write!(
            file,
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
             delete: {{enabled: true}}\nhttp: {{addr: '{address}'{http}}}\n{more}",
            root.display()
        )
        .unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(state.path().join("c.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("could not run: docker-registry: {e}"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen on {address}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { address, child, _state: state }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Bytes of a tar archive; each entry is a path, a kind and what is in it or what it leads to.
pub fn tar(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        // By hand: the library refuses to write what a hostile archive has.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o6755);
        header.set_mtime(1_000);
        match kind {
            tar::EntryType::Symlink | tar::EntryType::Link => {
                header.set_link_name_literal(text).unwrap();
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, std::io::empty()).unwrap();
            }
            _ => {
                header.set_size(text.len() as u64);
                header.set_cksum();
                builder.append(&header, text.as_bytes()).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// Documents of an image with these layers, which may be anything.
pub fn documents(layers: &[(Digest, u64, Digest)]) -> (Vec<u8>, Vec<u8>) {
    let diff_ids: Vec<_> = layers.iter().map(|(.., diff_id)| diff_id.as_str()).collect();
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = serde_json::to_vec(&config).unwrap();
    let kind = "application/vnd.oci.image.layer.v1.tar";
    let layer = |(digest, size, _): &(Digest, u64, Digest)| json!({"mediaType": kind, "digest": digest, "size": size});
    let manifest = json!({"schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(&config), "size": config.len()},
        "layers": layers.iter().map(layer).collect::<Vec<_>>()});
    (serde_json::to_vec(&manifest).unwrap(), config)
}

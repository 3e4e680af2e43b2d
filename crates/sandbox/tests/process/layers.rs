//! Layers made of what this machine has, and a store of images made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::ThreadId;

use async_trait::async_trait;
use dispatch_driver::{ImageRoot, ImageStore};

pub const PATH: &str = "/opt/python/bin:/bin";

/// Images by digest, and how many users each has.
#[derive(Default)]
pub struct Images {
    images: Mutex<BTreeMap<String, ImageRoot>>,
    users: Mutex<BTreeMap<String, i32>>,
    /// How often each was asked for.
    asked: Mutex<BTreeMap<String, u32>>,
    /// Who let go of one last.
    releaser: Mutex<Option<ThreadId>>,
}

impl Images {
    pub fn add(&self, digest: &str, layers: &[&Layer], environment: &[(&str, &str)]) {
        let layers = layers.iter().map(|layer| layer.owned()).collect();
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = environment.iter().map(text).collect();
        let root = ImageRoot { layers, environment };
        self.images.lock().unwrap().insert(digest.to_owned(), root);
    }

    pub fn asked(&self, digest: &str) -> u32 {
        self.asked.lock().unwrap().get(digest).copied().unwrap_or(0)
    }

    pub fn releaser(&self) -> Option<ThreadId> {
        *self.releaser.lock().unwrap()
    }

    pub fn users(&self, digest: &str) -> i32 {
        self.users.lock().unwrap().get(digest).copied().unwrap_or(0)
    }
}

#[async_trait]
impl ImageStore for Images {
    async fn root(&self, digest: &str) -> dispatch_driver::Result<ImageRoot> {
        *self.users.lock().unwrap().entry(digest.to_owned()).or_default() += 1;
        *self.asked.lock().unwrap().entry(digest.to_owned()).or_default() += 1;
        Ok(self.images.lock().unwrap()[digest].clone())
    }

    fn release(&self, digest: &str) {
        *self.releaser.lock().unwrap() = Some(std::thread::current().id());
        *self.users.lock().unwrap().get_mut(digest).unwrap() -= 1;
    }
}

/// A layer in a temporary directory.
pub struct Layer(tempfile::TempDir);

impl Layer {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(directory)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives everything to who owns unpacked layers: nobody but root has to.
    pub fn owned(&self) -> PathBuf {
        if nix::unistd::geteuid().is_root() {
            give(self.path());
        }
        self.path().to_owned()
    }

    pub fn place(&self, path: &str) -> PathBuf {
        let place = self.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    pub fn file(&self, path: &str, text: &str) -> &Self {
        fs::write(self.place(path), text).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.place(path)).unwrap();
        self
    }

    pub fn whiteout(&self, path: &str) -> &Self {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(&self.place(path), SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).unwrap();
        self
    }

    /// A shell and what goes with it, in one file.
    pub fn busybox() -> Self {
        let layer = Self::new();
        layer.program("/bin/busybox");
        for name in
            ["sh", "cat", "echo", "rm", "mkdir", "chown", "mkfifo", "mknod", "id", "sleep", "wget"]
        {
            layer.link(&format!("/bin/{name}"), "busybox");
        }
        fs::create_dir(layer.place("/tmp")).unwrap();
        layer
    }

    /// This machine's Python in `/opt/python`, with its libraries; as an image without `/etc`.
    pub fn python() -> Self {
        let layer = Self::new();
        let ask = "import os, sys, sysconfig\n\
                   print(os.path.realpath(sys.executable), sysconfig.get_path('stdlib'))";
        let answer = Command::new("python3").args(["-I", "-c", ask]).output().unwrap();
        let answer = String::from_utf8(answer.stdout).unwrap();
        let (program, library) = answer.trim().split_once(' ').unwrap();
        let (program, library) = (Path::new(program), Path::new(library));
        fs::copy(program, layer.place("/opt/python/bin/python3")).unwrap();
        let name = library.file_name().unwrap().to_str().unwrap();
        let standard = layer.place(&format!("/opt/python/lib/{name}"));
        copy_tree(library, &standard);
        let modules = fs::read_dir(library.join("lib-dynload")).unwrap().flatten();
        let binaries = modules.map(|m| m.path()).chain([program.to_owned()]);
        layer.libraries(binaries);
        layer
    }

    /// A program of this machine, with what it is linked with.
    pub fn program(&self, path: &str) -> &Self {
        fs::copy(path, self.place(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        self.libraries([PathBuf::from(path)].into_iter());
        self
    }

    fn libraries(&self, binaries: impl Iterator<Item = PathBuf>) {
        for library in binaries.flat_map(|b| libraries(&b)).collect::<BTreeSet<_>>() {
            fs::copy(&library, self.place(library.to_str().unwrap())).unwrap();
        }
    }
}

fn give(path: &Path) {
    let owner = dispatch_sandbox::process::ProcessConfig::default().image_uid;
    lchown(path, Some(owner), Some(owner)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| give(&entry.path()));
    }
}

/// The files a program or library is linked with.
fn libraries(binary: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(binary).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        let left_out = ["test", "site-packages", "dist-packages", "idlelib", "__pycache__"];
        let path = entry.path();
        if left_out.iter().any(|n| name == *n) {
        } else if path.is_dir() {
            copy_tree(&path, &target);
        } else if path.is_file() {
            fs::copy(&path, target).unwrap();
        }
    }
}

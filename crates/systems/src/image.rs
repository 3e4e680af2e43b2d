//! Images of a test: layouts on disk, made of what this machine has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dispatch_images::layer::Limits;
use dispatch_images::manifest::{Edits, pack_layer};
use dispatch_images::{Content, Image, layout};

/// `PATH` of the images made here.
pub const PATH: &str = "/opt/python/bin:/bin";

/// Writes an OCI layout whose tag `python` is this machine's Python with its libraries, a shell,
/// and what a Debian image says of itself; `release` is its version, so that others differ.
pub async fn python_layout(directory: &Path, release: &str) -> PathBuf {
    let (root, layout) = (directory.join(format!("root-{release}")), directory.join("layout"));
    python(&root);
    write(&root, "etc/os-release", &format!("ID=debian\nVERSION_ID={release}\n"));
    let status = format!(
        "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\n\
         Version: 3.0.{release}-1\n\n"
    );
    write(&root, "var/lib/dpkg/status", &status);
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let limits = Limits { max_bytes: 4 << 30, max_entries: 1_000_000, owner: None };
    let content = Content::open(&scratch.path().join("content"), limits).expect("a store");
    let layer = pack_layer(&content, &root, Path::new(""), "test").await.expect("a layer");
    let environment = vec![("PATH".to_owned(), PATH.to_owned())];
    let edits = Edits { environment, ..Edits::default() };
    let empty = Image::empty(&content).await.expect("an image");
    let image = empty.extend(&content, &[layer], &edits).await.expect("an image");
    layout::write(&content, &image, &layout, "python").await.expect("a layout");
    layout
}

fn write(root: &Path, path: &str, text: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().expect("it is below the root")).expect("a directory");
    fs::write(place, text).expect("a file");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("it is below the root")).expect("a directory");
    fs::copy(from, to).unwrap_or_else(|e| panic!("{} is not there: {e}", from.display()));
}

/// Copies this machine's Python with its libraries, and a shell.
pub(crate) fn python(root: &Path) {
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"));
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).expect("a link");
    fs::create_dir_all(root.join("tmp")).expect("a directory");
    let ask = "import os, sys, sysconfig\n\
               print(os.path.realpath(sys.executable), sysconfig.get_path('stdlib'))";
    let answer = Command::new("python3").args(["-I", "-c", ask]).output().expect("python3 runs");
    let answer = String::from_utf8(answer.stdout).expect("paths are text");
    let (program, library) = answer.trim().split_once(' ').expect("two paths");
    let (program, library) = (Path::new(program), Path::new(library));
    copy(program, &root.join("opt/python/bin/python3"));
    let name = library.file_name().expect("a directory has a name");
    tree(library, &root.join("opt/python/lib").join(name));
    let modules = fs::read_dir(library.join("lib-dynload")).expect("modules").flatten();
    let binaries = modules.map(|module| module.path()).chain([program.to_owned()]);
    for needed in binaries.flat_map(|binary| libraries(&binary)).collect::<BTreeSet<_>>() {
        copy(&needed, &root.join(needed.strip_prefix("/").expect("an absolute path")));
    }
}

/// The files a program or library is linked with.
fn libraries(binary: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(binary).output().expect("ldd runs");
    let text = String::from_utf8(output.stdout).expect("paths are text");
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

fn tree(from: &Path, to: &Path) {
    const LEFT_OUT: [&str; 4] = ["test", "dist-packages", "idlelib", "__pycache__"];
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let (place, name) = (entry.path(), entry.file_name());
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        // Packages are no part of Python, but for what installs others.
        let packages = from.ends_with("site-packages");
        if packages && !name.to_string_lossy().starts_with("pip") {
            continue;
        }
        if place.is_dir() {
            tree(&place, &to.join(name));
        } else if place.is_file() {
            copy(&place, &to.join(name));
        }
    }
}

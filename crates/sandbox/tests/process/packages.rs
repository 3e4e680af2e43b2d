//! Packages: their manager in the workshop, and what the machine's own interpreters see of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dispatch_driver::language::PACKAGES_AT;
use dispatch_driver::{Engine, Fault};
use serde_json::json;

use crate::bed::{Bed, until};
use crate::image::DIGEST;
use crate::layers::{Images, Layer};
use crate::task::{entries, run, task};

/// A root in which nothing is but dpkg and what it calls.
fn dpkg() -> Layer {
    let layer = Layer::busybox();
    for program in
        ["/usr/bin/dpkg", "/usr/bin/dpkg-deb", "/usr/bin/dpkg-split", "/usr/bin/dpkg-query"]
    {
        layer.program(program);
    }
    let tar = ["/bin/tar", "/usr/bin/tar"].into_iter().find(|p| Path::new(p).exists());
    layer.program(tar.expect("every Debian has tar"));
    for name in ["diff", "start-stop-daemon", "true"] {
        layer.link(&format!("/bin/{name}"), "busybox");
    }
    layer.link("/sbin/ldconfig", "../bin/true");
    layer.file("/var/lib/dpkg/status", "").file("/var/lib/dpkg/info/format", "1\n");
    layer.file("/var/lib/dpkg/available", "").file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    fs::create_dir_all(layer.place("/var/lib/dpkg/updates/x").parent().unwrap()).unwrap();
    fs::create_dir_all(layer.place("/var/lib/dpkg/triggers/x").parent().unwrap()).unwrap();
    layer
}

/// A package whose files belong to others and whose script wants to be root.
fn package(directory: &Path) -> std::path::PathBuf {
    let root = directory.join("root");
    let write = |path: &str, text: &str, mode| {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, text).unwrap();
        fs::set_permissions(place, PermissionsExt::from_mode(mode)).unwrap();
    };
    let control = "Package: hello\nVersion: 1.2-3\nArchitecture: all\nMaintainer: A <a@b.org>\n\
                   Description: greets\n";
    write("DEBIAN/control", control, 0o644);
    write("DEBIAN/postinst", "#!/bin/sh\nset -e\nchown 33:33 /usr/bin/hello\necho set up\n", 0o755);
    write("usr/bin/hello", "#!/bin/sh\necho hello\n", 0o4755);
    write("etc/hello.conf", "greeting\n", 0o640);
    let package = directory.join("hello.deb");
    let built = Command::new("dpkg-deb")
        .args(["--build", "--uniform-compression"])
        .args([&root, &package])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    package
}

#[tokio::test]
async fn dpkg_installs_a_package() {
    if !Path::new("/usr/bin/dpkg-deb").exists() {
        println!("could not run: this machine has no dpkg");
        return;
    }
    let (bed, root) = (Bed::new().await, dpkg());
    let directory = tempfile::tempdir().unwrap();
    let upper = directory.path().join("upper");
    fs::create_dir(&upper).unwrap();
    let script = "/usr/bin/dpkg -i /packages/hello.deb && dpkg-query -W && hello";
    let mut task = task(&[&root], Some(&upper), &["sh", "-c", script]);
    task.inputs.push((package(directory.path()), "/packages/hello.deb".to_owned()));
    let output = run(&bed, task).await;
    assert_eq!(output.status, 0, "{}", output.output);
    assert!(output.output.contains("set up\nhello\t1.2-3\nhello\n"), "{}", output.output);
    let changed = entries(&upper);
    for path in ["usr/bin/hello", "etc/hello.conf", "var/lib/dpkg/info/hello.postinst"] {
        assert!(changed.contains(&path.to_owned()), "{path} is not in {changed:?}");
    }
    assert!(!changed.iter().any(|path| path.starts_with("packages")), "{changed:?}");
    let status = fs::read_to_string(upper.join("var/lib/dpkg/status")).unwrap();
    assert!(status.contains("Status: install ok installed"), "{status}");
}

/// `host:LANGUAGE` with a layer of packages: a module `greeting`, and one file that is none.
async fn on_machine(name: &str, text: &str, variable: (&str, &str)) -> (Bed, Arc<Images>, Layer) {
    let (packages, images) = (Layer::new(), Arc::new(Images::default()));
    packages.file(&format!("{PACKAGES_AT}/{name}"), text).file("/opt/other", "not shown");
    images.add(DIGEST, &[&packages], &[variable]);
    (Bed::with_images(images.clone(), |_| {}).await, images, packages)
}

#[tokio::test]
async fn packages_reach_the_machines_own_python() {
    let module = ("greeting/__init__.py", "WORD = 'hello'\n");
    let variable = ("PYTHONPATH", PACKAGES_AT);
    let (bed, images, _packages) = on_machine(module.0, module.1, variable).await;
    if !bed.has("python3") {
        return;
    }
    let source = r#"
import greeting, os, sys
def handle(c, p):
    place = os.path.dirname(greeting.__file__)
    try: open(place + "/x", "w")
    except OSError as error: written = error.strerror
    return [greeting.WORD, place, written, os.path.exists("/opt/other"), sys.executable]
"#;
    let own = bed.run("import sys\ndef handle(c, p): return sys.executable\n").await;
    let deployment = bed.deployment("python3", source, |d| d.image_digest = Some(DIGEST.into()));
    bed.engine.build(&deployment).await.unwrap();
    let place = format!("{PACKAGES_AT}/greeting");
    let seen = bed.result(deployment.id, "null").await;
    assert_eq!(seen, json!(["hello", place, "Read-only file system", false, own]));
    // They are nobody's who does not name their image.
    let without = bed.engine.build(&bed.deployment("python3", source, |_| {})).await.unwrap_err();
    assert_eq!(without.fault, Fault::Caller);
    assert!(without.message.contains("No module named 'greeting'"), "{without}");
    bed.engine.remove(deployment.id).await.unwrap();
    until("the image has no user", || images.users(DIGEST) == 0).await;
}

#[tokio::test]
async fn packages_reach_the_machines_own_node() {
    let module = ("node_modules/greeting/index.js", "exports.word = 'hello';\n");
    let modules = format!("{PACKAGES_AT}/node_modules");
    let (bed, _images, _packages) = on_machine(module.0, module.1, ("NODE_PATH", &modules)).await;
    if !bed.has("nodejs") {
        return;
    }
    let source = "const { word } = require('greeting');\nmodule.exports = () => word;\n";
    let deployment = bed.deployment("nodejs", source, |d| d.image_digest = Some(DIGEST.into()));
    bed.engine.build(&deployment).await.unwrap();
    assert_eq!(bed.result(deployment.id, "null").await, json!("hello"));
}

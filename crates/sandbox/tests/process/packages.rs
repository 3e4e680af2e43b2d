//! A package manager in the workshop.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::bed::Bed;
use crate::layers::Layer;
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

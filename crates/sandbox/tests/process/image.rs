//! Functions on images.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_driver::{Deployment, Engine};
use dispatch_sandbox::process::ProcessConfig;
use serde_json::json;

use crate::bed::{Bed, until};
use crate::layers::{Images, Layer, PATH};

pub const DIGEST: &str = "sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";

pub fn on(digest: &str) -> impl FnOnce(&mut Deployment) + use<> {
    let digest = digest.to_owned();
    move |d| {
        d.image_url = "registry.example.org/team/python:1".to_owned();
        d.image_digest = Some(digest);
    }
}

async fn bed(layers: &[&Layer]) -> (Bed, Arc<Images>) {
    bed_with(layers, |_| {}).await
}

pub async fn bed_with(
    layers: &[&Layer],
    change: impl FnOnce(&mut ProcessConfig),
) -> (Bed, Arc<Images>) {
    let images = Arc::new(Images::default());
    images.add(DIGEST, layers, &[("PATH", PATH), ("FROM_IMAGE", "yes"), ("LANG", "C")]);
    (Bed::with_images(images.clone(), change).await, images)
}

#[tokio::test]
async fn python_of_the_image_runs_with_its_files_and_environment() {
    let (python, extra) = (Layer::python(), Layer::new());
    extra.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n").file("/etc/motd", "of the image");
    extra.link("/tmp", "/etc").link("/dev", "/etc").file("/proc", "no directory");
    let (bed, _images) = bed(&[&python, &extra]).await;
    let source = r#"
import os, pwd, socket, sys
def handle(context, payload):
    return {
        "executable": sys.executable, "usr": os.path.exists("/usr/share"),
        "motd": open("/etc/motd").read(), "user": pwd.getpwuid(os.getuid()).pw_name,
        "own": os.environ["OWN"], "image": os.environ["FROM_IMAGE"], "home": os.environ["HOME"],
        "lang": os.environ["LANG"], "host": socket.gethostbyname("localhost"),
        "tmp": os.listdir("/tmp"), "null": open("/dev/null").read(), "pid": os.getpid(),
        "written": [p for p in ["/x", "/etc/motd", "/opt/python/x", "/dev/x"] if write(p)],
    }
def write(path):
    try: open(path, "w"); return True
    except OSError: return False
"#;
    let deployment = bed.deployment("python3", source, |d| {
        on(DIGEST)(d);
        d.environment =
            [("OWN", "1"), ("LANG", "C.UTF-8")].map(|(k, v)| (k.into(), v.into())).into();
    });
    bed.engine.build(&deployment).await.unwrap();
    assert_eq!(
        bed.result(deployment.id, "null").await,
        json!({
            "executable": "/opt/python/bin/python3", "usr": false, "motd": "of the image",
            "user": "function", "own": "1", "image": "yes", "home": "/tmp", "lang": "C.UTF-8",
            "host": "127.0.0.1", "tmp": [], "null": "", "pid": 1, "written": [],
        })
    );
}

/// What a handler sees of three layers.
async fn covered(change: impl FnOnce(&mut ProcessConfig)) {
    let (python, low, high) = (Layer::python(), Layer::new(), Layer::new());
    low.file("/data/kept", "low").file("/data/gone", "low").file("/data/changed", "low");
    high.whiteout("/data/gone").file("/data/changed", "high").link("/etc", "/data");
    let (bed, images) = bed_with(&[&python, &low, &high], change).await;
    let source = "import os\ndef handle(c, p):\n    \
                  seen = {n: open('/data/' + n).read() for n in os.listdir('/data')}\n    \
                  return [seen, sorted(os.listdir('/etc'))]\n";
    let deployment = bed.deployment("python3", source, on(DIGEST));
    bed.engine.build(&deployment).await.unwrap();
    let seen = bed.result(deployment.id, "null").await;
    let own = ["group", "hosts", "nsswitch.conf", "passwd"];
    assert_eq!(seen, json!([{"kept": "low", "changed": "high"}, own]));
    bed.engine.remove(deployment.id).await.unwrap();
    until("the image has no user", || images.users(DIGEST) == 0).await;
    let copies = bed.directory.path().join("state/copies");
    assert_eq!(std::fs::read_dir(copies).unwrap().count(), 0);
}

#[tokio::test]
async fn upper_layers_cover_lower_ones() {
    covered(|_| {}).await;
}

#[tokio::test]
async fn they_do_where_overlays_are_not_allowed() {
    covered(|config| config.overlays = false).await;
}

#[tokio::test]
async fn programs_of_an_image_without_python_run() {
    let shell = Layer::busybox();
    let (bed, _images) = bed(&[&shell]).await;
    let source = "#!/bin/sh\ncat > /dev/null\necho \"\\\"$(echo /*)\\\"\"";
    let deployment = bed.deployment("binary", source, on(DIGEST));
    bed.engine.build(&deployment).await.unwrap();
    let seen = bed.result(deployment.id, "null").await;
    assert_eq!(seen, json!("/bin /dev /etc /function /proc /tmp"));
}

#[tokio::test]
async fn hosts_are_reached_from_an_image() {
    let python = Layer::python();
    let (bed, _images) = bed(&[&python]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::Write::write_all(&mut stream, b"hello");
        }
    });
    let source = format!(
        "import socket\ndef handle(c, p):\n    \
         return socket.create_connection(('localhost', {port})).recv(9).decode()\n"
    );
    let deployment = bed.deployment("python3", source, |d| {
        on(DIGEST)(d);
        d.egress = vec![format!("localhost:{port}")];
    });
    bed.engine.build(&deployment).await.unwrap();
    assert_eq!(bed.result(deployment.id, "null").await, json!("hello"));
}

#[tokio::test]
async fn an_image_is_let_go_with_its_last_deployment() {
    let python = Layer::python();
    let (bed, images) = bed(&[&python]).await;
    let source = "def handle(c, p): return p\n";
    let two = [(); 2].map(|()| bed.deployment("python3", source, on(DIGEST)));
    for deployment in &two {
        bed.engine.build(deployment).await.unwrap();
        bed.engine.ensure(deployment).await.unwrap();
    }
    assert_eq!(images.users(DIGEST), 1);
    bed.engine.remove(two[0].id).await.unwrap();
    assert_eq!(bed.result(two[1].id, "1").await, json!(1));
    bed.engine.remove(two[1].id).await.unwrap();
    until("the image has no user", || images.users(DIGEST) == 0).await;
}

#[tokio::test]
async fn an_engine_without_images_says_so() {
    let bed = Bed::new().await;
    let deployment = bed.deployment("python3", "", on(DIGEST));
    let error = bed.engine.build(&deployment).await.unwrap_err().to_string();
    assert!(error.contains("runs no images"), "{error}");
}

#[tokio::test]
async fn an_image_without_the_interpreter_says_so() {
    let shell = Layer::busybox();
    let (bed, images) = bed(&[&shell]).await;
    let deployment = bed.deployment("python3", "def handle(c, p): return p\n", on(DIGEST));
    let error = bed.engine.build(&deployment).await.unwrap_err().to_string();
    assert!(error.contains("python3: No such file"), "{error}");
    bed.engine.remove(deployment.id).await.unwrap();
    let deployment = bed.deployment("cobol", "", on(DIGEST));
    let error = bed.engine.build(&deployment).await.unwrap_err().to_string();
    assert!(error.contains("does not know the language \"cobol\""), "{error}");
    until("the image has no user", || images.users(DIGEST) == 0).await;
}

/// A function on a built image: the bar of the issue, with room for a busy machine.
#[tokio::test]
async fn first_calls_are_forked() {
    let python = Layer::python();
    let (bed, _images) = bed(&[&python]).await;
    let source = "def handle(c, p): return p\n";
    let first = bed.deployment("python3", source, on(DIGEST));
    bed.engine.build(&first).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..9 {
        let deployment = bed.deployment("python3", source, on(DIGEST));
        bed.engine.ensure(&deployment).await.unwrap();
        let begun = Instant::now();
        let outcome = bed.call(deployment.id, "1").await;
        times.push(begun.elapsed());
        assert!(outcome.phases.cold && outcome.result.is_ok());
    }
    times.sort();
    println!("first calls on an image: {times:?}");
    assert!(times[4] < Duration::from_millis(100), "{times:?}");
}

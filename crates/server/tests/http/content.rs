//! Base images, images and functions made of real content: a layout on disk with this machine's
//! Python, its packages, and what is known of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_systems::image::python_layout;
use dispatch_testkit::{Options, Server, eventually};
use serde_json::{Value, json};

pub const SOURCE: &str = "\
import os
def handle(context, payload):
    text = open('/etc/os-release').read()
    return {'payload': payload, 'os': text, 'host': os.path.exists('/usr/share')}
";

pub struct Bed {
    pub server: Server,
    pub directory: tempfile::TempDir,
    pub url: String,
}

/// A server that may read layouts, and a base image `base` in one, with the image `py` on it.
pub async fn bed() -> Bed {
    let directory = tempfile::tempdir().unwrap();
    let layout = python_layout(directory.path(), "12").await;
    let settings = format!("[images]\nrefresh_s = 1\nfolders = [{:?}]\n", directory.path());
    let server = Server::start_with(Options { settings }).await;
    let url = format!("oci:{}:python", layout.display());
    let base = json!({"name": "base", "dockerUrl": url, "language": "python3"});
    server.post("/v1/baseimage", base).await.expect(201);
    server.post("/v1/image", json!({"name": "py", "baseImageName": "base"})).await.expect(201);
    Bed { server, directory, url }
}

impl Bed {
    pub async fn function(&self, name: &str, source: &str) -> Value {
        let body = json!({"name": name, "image": "py", "handler": "hello.handle",
            "source": STANDARD.encode(source)});
        self.server.post("/v1/function", body).await.expect(201);
        self.server.wait_for(&format!("/v1/function/{name}"), "READY").await
    }

    pub async fn call(&self, name: &str) -> Value {
        let body = json!({"functionName": name, "blocking": true, "input": 7});
        let run = self.server.post("/v1/runs", body).await.expect(200).json();
        assert_eq!(run["status"], "READY", "{run}");
        run["output"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_runs_on_the_image_it_names() {
    let mut bed = bed().await;
    let base = bed.server.wait_for("/v1/baseimage/base", "READY").await;
    assert!(base["digest"].as_str().unwrap().starts_with("sha256:"), "{base}");
    assert_eq!(base["platform"].as_str().unwrap().split('/').next(), Some("linux"));
    let image = bed.server.wait_for("/v1/image/py", "READY").await;
    assert_eq!(image["baseDigest"], base["digest"]);
    assert!(image["packages"].as_u64().unwrap() >= 1, "{image}");
    let function = bed.function("hello", SOURCE).await;
    assert_eq!(function["functionImageURL"], "local/dispatch/functions/hello");
    let answer = bed.call("hello").await;
    assert_eq!((&answer["payload"], &answer["host"]), (&json!(7), &json!(false)), "{answer}");
    assert_eq!(answer["os"], "ID=debian\nVERSION_ID=12\n");

    // All of it is still so for another server on the same data.
    bed.server.restart().await;
    assert_eq!(bed.call("hello").await["payload"], 7);
    // A function goes on without what it was made of.
    bed.server.delete("/v1/image/py").await.expect(200);
    bed.server.wait_gone("/v1/image/py").await;
    bed.server.restart().await;
    assert_eq!(bed.call("hello").await["payload"], 7);
    bed.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_is_lost_is_made_again() {
    let mut bed = bed().await;
    if !bed.server.running().app.store.is_sqlite() {
        println!("could not run: on PostgreSQL another server may have the content");
        return;
    }
    bed.function("hello", SOURCE).await;
    bed.server.stop().await;
    std::fs::remove_dir_all(bed.server.data_dir().join("images")).unwrap();
    bed.server.restart().await;
    eventually("the function runs on it", async || {
        let body = json!({"functionName": "hello", "blocking": true, "input": 7});
        let run = bed.server.post("/v1/runs", body).await;
        if run.status == 200 && run.json()["output"]["payload"] == 7 {
            Ok(())
        } else {
            Err(run.text)
        }
    })
    .await;
    bed.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_is_made_of_is_known() {
    let bed = bed().await;
    bed.function("hello", SOURCE).await;
    let get = async |path: &str| bed.server.get(path).await.expect(200).json();
    let content = get("/v1/function/hello/content").await;
    let kinds: Vec<_> = content["chain"].as_array().unwrap().iter().map(|l| &l["kind"]).collect();
    assert_eq!(kinds, ["base-image", "image"]);
    let packages = content["packages"].as_array().unwrap();
    assert!(packages.iter().any(|p| p["name"] == "openssl"), "{content}");
    let made: Vec<_> =
        content["layers"].as_array().unwrap().iter().map(|l| &l["createdBy"]).collect();
    assert_eq!(
        made,
        ["test", "dispatch: source of a function", "dispatch: host of python3 functions"]
    );
    let bill = get("/v1/function/hello/bill").await;
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    let bill = get("/v1/image/py/bill?format=spdx").await;
    assert_eq!(bill["spdxVersion"], "SPDX-2.3");
    let wrong = bed.server.get("/v1/image/py/bill?format=xml").await.expect(400).error();
    assert_eq!(wrong.field.as_deref(), Some("format"));

    let counts = get("/v1/package?ecosystem=deb").await;
    assert_eq!(counts[0]["name"], "openssl");
    assert_eq!((&counts[0]["images"], &counts[0]["functions"]), (&json!(2), &json!(1)));
    let users = get("/v1/package/users?name=openssl").await;
    let users: Vec<_> =
        users.as_array().unwrap().iter().map(|u| (&u["kind"], &u["name"])).collect();
    let kind = |kind: &str, name: &str| (json!(kind), json!(name));
    let expected = [kind("BaseImage", "base"), kind("Function", "hello"), kind("Image", "py")];
    assert_eq!(users, expected.iter().map(|(k, n)| (k, n)).collect::<Vec<_>>());
    bed.server.get("/v1/package/users").await.expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_updated_base_rebuilds_what_is_on_it_and_nothing_stops() {
    let bed = bed().await;
    let first = bed.function("hello", SOURCE).await;
    python_layout(bed.directory.path(), "13").await;
    // What the tag leads to now is noticed, and taken only when somebody says so.
    eventually("the tag was looked at", async || {
        let base = bed.server.get("/v1/baseimage/base").await.expect(200).json();
        if base["movedTo"].is_string() && base["digest"] != base["movedTo"] {
            return Ok(());
        }
        Err(base)
    })
    .await;
    assert!(bed.call("hello").await["os"].as_str().unwrap().contains("VERSION_ID=12"));
    let base = json!({"dockerUrl": bed.url, "language": "python3"});
    bed.server.put("/v1/baseimage/base", base).await.expect(200);
    eventually("the function is on the new base", async || {
        let answer = bed.call("hello").await;
        let os = answer["os"].as_str().unwrap().to_owned();
        if os.contains("VERSION_ID=13") { Ok(()) } else { Err(os) }
    })
    .await;
    let base = bed.server.get("/v1/baseimage/base").await.expect(200).json();
    assert!(base["movedTo"].is_null() && base["reason"].is_null(), "{base}");
    let second = bed.server.wait_for("/v1/function/hello", "READY").await;
    assert_ne!(first["digest"], second["digest"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_had_is_said_and_what_was_there_goes_on() {
    let bed = bed().await;
    bed.function("hello", SOURCE).await;
    let missing = json!({"name": "gone", "language": "python3",
        "dockerUrl": format!("oci:{}:gone", bed.directory.path().join("layout").display())});
    bed.server.post("/v1/baseimage", missing).await.expect(201);
    let base = bed.server.wait_for("/v1/baseimage/gone", "ERROR").await;
    assert!(base["reason"][0].as_str().unwrap().contains("gone"), "{base}");
    let outside = json!({"name": "outside", "dockerUrl": "oci:/etc:x", "language": "python3"});
    bed.server.post("/v1/baseimage", outside).await.expect(201);
    let base = bed.server.wait_for("/v1/baseimage/outside", "ERROR").await;
    assert!(base["reason"][0].as_str().unwrap().contains("images.folders"), "{base}");

    // No package manager is in it, and builds have no network.
    let system = json!({"baseImageName": "base",
        "systemDependencies": {"packages": [{"name": "curl"}]}});
    bed.server.put("/v1/image/py", system).await.expect(200);
    let image = bed.server.wait_for("/v1/image/py", "ERROR").await;
    assert!(image["reason"][0].as_str().unwrap().contains("no package manager"), "{image}");
    assert_eq!(bed.call("hello").await["payload"], 7);
    let bad = json!({"name": "bad", "baseImageName": "base",
        "systemDependencies": {"packages": [{"name": "curl; reboot"}]}});
    let refused = bed.server.post("/v1/image", bad).await.expect(400).error();
    assert_eq!(refused.field.as_deref(), Some("systemDependencies.packages[0].name"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_of_a_language_are_installed_into_the_image() {
    let mut bed = bed().await;
    bed.server.stop().await;
    let wheel = bed.directory.path().join("greet.py");
    std::fs::write(&wheel, "WORD = 'hello from a package'\n").unwrap();
    // A mirror on this machine, as a static directory: PEP 503.
    let mirror = mirror::start(bed.directory.path());
    let settings = format!(
        "[images]\nfolders = [{:?}]\nbuild_egress = [\"127.0.0.1:{}\"]\n\
         build_mirrors = [\"python3=http://127.0.0.1:{}/simple\"]\n\
         [process]\negress_to_machine = true\n",
        bed.directory.path(),
        mirror.port,
        mirror.port
    );
    let server = Server::start_with(Options { settings }).await;
    let base = json!({"name": "base", "dockerUrl": bed.url, "language": "python3"});
    server.post("/v1/baseimage", base).await.expect(201);
    let image = json!({"name": "py", "baseImageName": "base",
        "runtimeDependencies": {"manifest": "greet==1.0\n"}});
    server.post("/v1/image", image.clone()).await.expect(201);
    let ready = server.wait_for("/v1/image/py", "READY").await;
    let bed = Bed { server, ..bed };
    let source = "import greet\ndef handle(context, payload):\n    return greet.WORD\n";
    bed.function("hello", source).await;
    assert_eq!(bed.call("hello").await, "hello from a package");
    let users = bed.server.get("/v1/package/users?name=greet").await.expect(200).json();
    assert!(users.as_array().unwrap().iter().any(|u| u["name"] == "hello"), "{users}");

    // The same again is a look-up, with the same outcome.
    let mut other = image;
    other["name"] = "again".into();
    bed.server.post("/v1/image", other).await.expect(201);
    let again = bed.server.wait_for("/v1/image/again", "READY").await;
    assert_eq!((&ready["size"], mirror.asked()), (&again["size"], mirror.asked()));

    // Until somebody asks for what the mirror has now.
    let asked = mirror.asked();
    bed.server.post("/v1/image/py/rebuild", json!({})).await.expect(202);
    bed.server.wait_for("/v1/image/py", "READY").await;
    assert!(mirror.asked() > asked);
    assert_eq!(bed.call("hello").await, "hello from a package");
    bed.server.post("/v1/image/nothing/rebuild", json!({})).await.expect(404);

    let lost = json!({"name": "lost", "baseImageName": "base",
        "runtimeDependencies": {"manifest": "nowhere==9\n"}});
    bed.server.post("/v1/image", lost).await.expect(201);
    let lost = bed.server.wait_for("/v1/image/lost", "ERROR").await;
    assert!(lost["reason"][0].as_str().unwrap().contains("nowhere==9"), "{lost}");
}

/// A package index in a directory, served by Python's own web server.
mod mirror {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub struct Mirror {
        pub port: u16,
        child: Child,
        asked: Arc<AtomicUsize>,
    }

    impl Mirror {
        /// Requests so far.
        pub fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    impl Drop for Mirror {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    pub fn start(directory: &Path) -> Mirror {
        let site = directory.join("mirror/simple/greet");
        std::fs::create_dir_all(&site).unwrap();
        let wheel = "greet-1.0-py3-none-any.whl";
        let make = "import sys, zipfile\n\
            with zipfile.ZipFile(sys.argv[1], 'w') as z:\n    \
            z.writestr('greet.py', open(sys.argv[2]).read())\n    \
            z.writestr('greet-1.0.dist-info/METADATA', \
            'Metadata-Version: 2.1\\nName: greet\\nVersion: 1.0\\nLicense: MIT\\n')\n    \
            z.writestr('greet-1.0.dist-info/WHEEL', \
            'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\n\
            Tag: py3-none-any\\n')\n    \
            z.writestr('greet-1.0.dist-info/RECORD', '')\n";
        let made = Command::new("python3")
            .args(["-c", make])
            .args([site.join(wheel), directory.join("greet.py")])
            .status();
        assert!(made.unwrap().success());
        let mut index = std::fs::File::create(site.join("index.html")).unwrap();
        write!(index, "<a href=\"{wheel}\">{wheel}</a>").unwrap();
        let root = directory.join("mirror").display().to_string();
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", &root, "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let port = first.split(" port ").nth(1).unwrap().split(' ').next().unwrap();
        let port = port.parse().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (counted, log) = (asked.clone(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for _ in BufReader::new(log).lines() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Mirror { port, child, asked }
    }
}

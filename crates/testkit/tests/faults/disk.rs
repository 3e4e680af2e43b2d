//! A full disk under the running server: what needs no disk goes on, what does is refused in words,
//! nothing acknowledged is lost, and all goes on by itself when there is room.

use std::collections::HashSet;

use dispatch_store::testing::SmallDisk;
use dispatch_testkit::{Answer, Database, Process, eventually};
use serde_json::{Value, json};

use crate::ECHO;

/// Enough for a server with two functions, and soon filled.
const MIB: u32 = 64;
const PYTHON: &[u8] = b"def handle(context, payload):\n    return payload\n";

fn id(run: &Value) -> String {
    run["name"].as_str().unwrap().to_owned()
}

/// The answer of a full disk: an error of ours that says so, and that it is worth coming back.
#[track_caller]
fn says_full(answer: &Answer) {
    let error = answer.clone().expect(503).error();
    assert_eq!(error.error_code.as_deref(), Some("API010"), "{error:?}");
    assert!(error.message.contains("full"), "{error:?}");
    assert_ne!(answer.header("retry-after"), "");
}

async fn blocking(server: &Process, function: &str) -> Value {
    let body = json!({"blocking": true, "input": 7});
    let path = format!("/v1/runs?functionName={function}");
    let run = server.post(&path, body).await.expect(200).json();
    assert_eq!(run["status"], "READY", "{run}");
    run
}

async fn accept(server: &Process) -> Answer {
    server.post("/v1/runs?functionName=echo", json!({"input": 7})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_only_what_needs_it_and_only_while_it_is_full() {
    let Some(disk) = SmallDisk::mount(MIB) else { return };
    // Its log lies on the same disk, and there is much of it.
    let settings = [("DISPATCH_LOG", "debug")];
    let server = Process::start_on(disk.path(), &Database::sqlite(), &settings);
    for (language, name, source) in [("wasm", "echo", ECHO), ("python3", "python", PYTHON)] {
        server.image(language).await;
        server.function(name, language, source, json!({})).await;
    }
    let mut promised = HashSet::new();
    for _ in 0..50 {
        promised.insert(id(&accept(&server).await.expect(202).json()));
    }
    disk.fill();
    // What the log of the database has room for is still taken.
    let refused = loop {
        let answer = accept(&server).await;
        match answer.status {
            202 => promised.insert(id(&answer.json())),
            _ => break answer,
        };
    };
    says_full(&refused);
    for function in ["echo", "python"].repeat(20) {
        promised.insert(id(&blocking(&server, function).await));
    }
    let secret = json!({"name": "s", "secrets": {"k": "v".repeat(60_000)}});
    says_full(&server.post("/v1/secret", secret.clone()).await);
    let source = "A".repeat(1 << 20);
    let large = json!({"name": "large", "image": "python3", "source": source});
    says_full(&server.post("/v1/function", large).await);
    assert_eq!(server.get("/v1/function").await.expect(200).names(), ["echo", "python"]);
    assert!(server.get("/v1/secret").await.expect(200).names().is_empty());

    disk.free();
    eventually("runs are accepted again", async || {
        let answer = accept(&server).await;
        if answer.status != 202 {
            return Err(answer.text);
        }
        promised.insert(id(&answer.json()));
        Ok(())
    })
    .await;
    server.post("/v1/secret", secret).await.expect(201);
    server.function("later", "python3", PYTHON, json!({})).await;
    blocking(&server, "later").await;
    eventually("all that was promised has ended, once", async || {
        let runs = server.all("/v1/runs").await;
        let ended: Vec<_> = runs.iter().filter(|run| run["status"] == "READY").map(id).collect();
        let distinct: HashSet<_> = ended.iter().cloned().collect();
        assert_eq!(distinct.len(), ended.len(), "a run is recorded twice");
        let missing = promised.difference(&distinct).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} of {}", promised.len())) }
    })
    .await;
    assert!(server.terminate().success());
}

/// The log is on a disk that is always full.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let data = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", data.path().join("server.log")).unwrap();
    let settings = [("DISPATCH_LOG", "debug")];
    let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
    server.image("wasm").await;
    server.function("echo", "wasm", ECHO, json!({})).await;
    blocking(&server, "echo").await;
    assert!(server.terminate().success());
}

/// The database has room, the place where sources are unpacked has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_waits_for_room_to_be_unpacked() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let data = tempfile::tempdir().unwrap();
    let state = disk.path().join("process").display().to_string();
    let settings = [("DISPATCH_PROCESS__STATE_DIR", state.as_str())];
    let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
    server.image("python3").await;
    disk.fill();
    let archive = archive(&[("handler.py", PYTHON), ("data.bin", &[7; 20_000])]);
    for (name, source) in [("file", PYTHON), ("archive", &archive)] {
        use base64::Engine as _;
        let source = base64::engine::general_purpose::STANDARD.encode(source);
        let shape = json!({"name": name, "image": "python3", "source": source});
        server.post("/v1/function", shape).await.expect(201);
        eventually("it says what it waits for", async || {
            let function = server.get(&format!("/v1/function/{name}")).await.json();
            let reason = function["reason"].to_string();
            assert_ne!(function["status"], "ERROR", "{reason}");
            if reason.contains("No space left") { Ok(()) } else { Err(reason) }
        })
        .await;
    }
    disk.free();
    for name in ["file", "archive"] {
        server.wait_for(&format!("/v1/function/{name}"), "READY").await;
        blocking(&server, name).await;
    }
}

/// A tar.gz of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::default(),
    ));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

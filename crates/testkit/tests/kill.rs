//! `kill -9` of the real server, again and again, under non-blocking runs: what was acknowledged
//! ends, once in the records.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

const ROUNDS: usize = 8;
const RUNS: usize = 1_000;
const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(90);

/// `cargo xtask test` builds it; cargo puts it one directory above the tests.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("dispatch-server");
    assert!(binary.is_file(), "{} is missing: cargo build --workspace --bins", binary.display());
    binary
}

struct Killable {
    child: Child,
    api: String,
}

impl Killable {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(binary());
        command.args(["run", "--ready-json", "--data-dir"]).arg(data);
        for flag in ["--api", "--gateway-http", "--gateway-https"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("a ready line");
        let api = format!("http://{}/v1", ready["api"].as_str().unwrap());
        Self { child, api }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn deploy(http: &reqwest::Client, api: &str) {
    let wat = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wasm/echo.wat"));
    let source = base64::engine::general_purpose::STANDARD.encode(wat.unwrap());
    for (path, body) in [
        ("baseimage", json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"})),
        ("image", json!({"name": "wasm", "baseImageName": "base"})),
        ("function", json!({"name": "echo", "image": "wasm", "source": source})),
    ] {
        let made = http.post(format!("{api}/{path}")).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 201, "{path}");
    }
    let began = Instant::now();
    loop {
        let url = format!("{api}/function/echo");
        let function: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        if function["status"] == "READY" {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "never READY: {function}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends runs until the server is gone or enough were acknowledged in all.
async fn submit(api: String, acknowledged: Arc<Mutex<Vec<String>>>, enough: usize) {
    let http = reqwest::Client::new();
    while acknowledged.lock().unwrap().len() < enough {
        let url = format!("{api}/runs?functionName=echo");
        let sent = http.post(url).json(&json!({"input": {"n": 1}})).send().await;
        let Ok(answer) = sent else { return };
        if answer.status() != 202 {
            return;
        }
        let Ok(run) = answer.json::<Value>().await else { return };
        acknowledged.lock().unwrap().push(run["name"].as_str().unwrap().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_run_ends_once() {
    let data = tempfile::tempdir().unwrap();
    let http = reqwest::Client::new();
    let server = Killable::start(data.path());
    deploy(&http, &server.api).await;
    server.kill();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 1..=ROUNDS {
        let server = Killable::start(data.path());
        let enough = RUNS * round / ROUNDS;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(submit(server.api.clone(), acknowledged.clone(), RUNS)))
            .collect();
        let began = Instant::now();
        while acknowledged.lock().unwrap().len() < enough {
            assert!(began.elapsed() < PATIENCE, "round {round}: too few runs were acknowledged");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // In the middle of whatever it does.
        server.kill();
        for client in clients {
            client.await.unwrap();
        }
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() >= RUNS);
    let distinct: HashSet<_> = acknowledged.iter().collect();
    assert_eq!(distinct.len(), acknowledged.len(), "an id was given twice");

    let server = Killable::start(data.path());
    let began = Instant::now();
    for id in &acknowledged {
        loop {
            let url = format!("{}/runs/{id}", server.api);
            let answer = http.get(url).send().await.unwrap();
            assert_eq!(answer.status(), 200, "run {id} was acknowledged and is lost");
            let run: Value = answer.json().await.unwrap();
            if run["status"] == "READY" {
                break;
            }
            assert_ne!(run["status"], "ERROR", "{run}");
            assert!(began.elapsed() < PATIENCE, "run {id} never ends: {run}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    server.kill();
}

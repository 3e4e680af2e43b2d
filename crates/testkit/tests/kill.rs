//! `kill -9` of the real server, again and again, under non-blocking runs: what was acknowledged
//! ends, once in the records.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use dispatch_testkit::Process;
use serde_json::{Value, json};

const ROUNDS: usize = 8;
const RUNS: usize = 1_000;
const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(90);

async fn deploy(http: &reqwest::Client, api: &str) {
    let wat = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wasm/echo.wat"));
    let source = base64::engine::general_purpose::STANDARD.encode(wat.unwrap());
    for (path, body) in [
        ("baseimage", json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"})),
        ("image", json!({"name": "wasm", "baseImageName": "base"})),
        ("function", json!({"name": "echo", "image": "wasm", "source": source})),
    ] {
        let made = http.post(format!("{api}/v1/{path}")).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 201, "{path}");
    }
    let began = Instant::now();
    loop {
        let url = format!("{api}/v1/function/echo");
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
        let url = format!("{api}/v1/runs?functionName=echo");
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
    let server = Process::start(data.path());
    deploy(&http, &server.api).await;
    server.kill();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 1..=ROUNDS {
        let server = Process::start(data.path());
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

    let server = Process::start(data.path());
    let began = Instant::now();
    for id in &acknowledged {
        loop {
            let url = format!("{}/v1/runs/{id}", server.api);
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
    // The list knows each of them once.
    let mut listed = Vec::new();
    let mut next = String::new();
    loop {
        let url = format!("{}/v1/runs?limit=500{next}", server.api);
        let answer = http.get(url).send().await.unwrap();
        let token = answer.headers().get("x-dispatch-continue");
        let token = token.map(|token| format!("&continue={}", token.to_str().unwrap()));
        let page: Vec<Value> = answer.json().await.unwrap();
        listed.extend(page.iter().map(|run| run["name"].as_str().unwrap().to_owned()));
        match token {
            Some(token) => next = token,
            None => break,
        }
    }
    for id in &acknowledged {
        let times = listed.iter().filter(|listed| *listed == id).count();
        assert_eq!(times, 1, "run {id} is listed {times} times");
    }
    server.kill();
}

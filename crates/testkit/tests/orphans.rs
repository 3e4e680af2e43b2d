//! A server that is killed leaves no worker behind, nor anything a worker started.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use dispatch_testkit::Process;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a child of its own and answers while that still runs.
const HANDLER: &str = "import subprocess\n\
    def handle(context, payload):\n    subprocess.Popen(['sleep', '1000'])\n    \
    if payload: import time; time.sleep(1000)\n    return 'ready'\n";

/// All processes below one, by who started whom.
fn below(pid: u32) -> HashSet<u32> {
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let parent = rest.split(' ').nth(1).and_then(|parent| parent.parse::<u32>().ok());
        pairs.extend(parent.map(|parent| (parent, child)));
    }
    let mut found = HashSet::from([pid]);
    while pairs.iter().any(|(parent, child)| found.contains(parent) && found.insert(*child)) {}
    found.remove(&pid);
    found
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie runs no more; who has to reap it is not ours to say.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn deploy(http: &reqwest::Client, api: &str) {
    let source = base64::engine::general_purpose::STANDARD.encode(HANDLER);
    for (path, body) in [
        ("baseimage", json!({"name": "base", "dockerUrl": "host:python3", "language": "python3"})),
        ("image", json!({"name": "python3", "baseImageName": "base"})),
        ("function", json!({"name": "stay", "image": "python3", "source": source})),
    ] {
        let made = http.post(format!("{api}/v1/{path}")).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 201, "{path}: {}", made.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_nothing_running() {
    let data = tempfile::tempdir().unwrap();
    let http = reqwest::Client::new();
    let server = Process::start(data.path());
    deploy(&http, &server.api).await;
    let url = format!("{}/v1/runs?functionName=stay", server.api);
    let run = |input: Value, blocking: bool| {
        let body = json!({"input": input, "blocking": blocking});
        http.post(&url).json(&body).send()
    };
    let answer: Value = run(Value::Null, true).await.unwrap().json().await.unwrap();
    assert_eq!(answer["output"], "ready", "{answer}");
    assert_eq!(run(json!(true), false).await.unwrap().status(), 202);
    let began = Instant::now();
    let started = loop {
        let started = below(server.pid());
        let named = |pid: &u32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim() == "sleep"
        };
        if started.iter().any(named) {
            break started;
        }
        assert!(began.elapsed() < PATIENCE, "the handler never ran: {started:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    server.kill();
    let began = Instant::now();
    while started.iter().any(|pid| alive(*pid)) {
        assert!(began.elapsed() < PATIENCE, "still alive: {started:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

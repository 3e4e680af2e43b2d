//! `kill -9` of the real server, again and again, under non-blocking runs: what was acknowledged
//! ends, once in the records, and a request that is repeated with its key makes no second run.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dispatch_testkit::{Database, Environment, Process, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const KILLS: usize = 8;
const RUNS: usize = 1_000;
const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(90);
/// Short leases: on PostgreSQL the runs of a killed server wait for the end of theirs.
const SETTINGS: Environment<'static> = &[("DISPATCH_RUNS__LEASE_S", "2")];
const ECHO: &[u8] = include_bytes!("../../../examples/wasm/echo.wat");

/// What becomes of the n-th run: most succeed, some at the second attempt, some never.
#[derive(Debug, PartialEq)]
enum Fate {
    Succeeds,
    Retried,
    Dies,
}

fn fate(n: usize) -> Fate {
    match n % 20 {
        3 => Fate::Dies,
        7 | 13 => Fate::Retried,
        _ => Fate::Succeeds,
    }
}

/// The function answers with its context and payload; its schema lets those pass that should.
async fn deploy(server: &Process) {
    let is = |fate: Fate| json!({"properties": {"payload": {"const": format!("{fate:?}")}}});
    let again = json!({"properties": {"context": {"properties": {"attempt": {"const": 2}}}}});
    let out = json!({"anyOf": [is(Fate::Succeeds), {"allOf": [is(Fate::Retried), again]}]});
    let more = json!({"schema": {"out": out}, "retries": 1, "backoffMs": 1});
    server.image("wasm").await;
    server.function("echo", "wasm", ECHO, more).await;
}

/// The runs that are asked for, each by its key until it was acknowledged.
#[derive(Default)]
struct Requests {
    /// The next key nobody has asked with yet.
    next: AtomicUsize,
    /// Keys whose answer never came.
    unsure: Mutex<Vec<usize>>,
    acknowledged: Mutex<BTreeMap<usize, String>>,
}

impl Requests {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    fn take(&self) -> Option<usize> {
        let unsure = self.unsure.lock().unwrap().pop();
        let new = || Some(self.next.fetch_add(1, Ordering::SeqCst)).filter(|n| *n < RUNS);
        unsure.or_else(new)
    }

    /// Asks for runs until the server is gone or all are acknowledged.
    async fn send(&self, http: reqwest::Client, api: String) {
        while let Some(n) = self.take() {
            let url = format!("{api}/v1/runs?functionName=echo");
            let request = http.post(url).header("idempotency-key", format!("key {n}"));
            let body = json!({"input": format!("{:?}", fate(n))});
            let answer = async { request.json(&body).send().await?.error_for_status() };
            let run = async { answer.await?.json::<Value>().await };
            match run.await {
                Ok(run) => {
                    let id = run["name"].as_str().unwrap().to_owned();
                    self.acknowledged.lock().unwrap().insert(n, id);
                }
                Err(_) => return self.unsure.lock().unwrap().push(n),
            }
        }
    }
}

/// Kills the server again and again while clients ask for runs; returns each run's id by its key.
async fn killed_in_a_loop(start: &impl Fn() -> Process) -> BTreeMap<usize, String> {
    let requests = Arc::new(Requests::default());
    for kill in 1..=KILLS {
        let server = start();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (requests, api) = (requests.clone(), server.api.clone());
                tokio::spawn(async move { requests.send(reqwest::Client::new(), api).await })
            })
            .collect();
        let began = Instant::now();
        // The last kill comes when all are acknowledged and many have not ended.
        while requests.count() < RUNS * kill / KILLS {
            assert!(began.elapsed() < PATIENCE, "kill {kill}: {} acknowledged", requests.count());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        for client in clients {
            client.await.unwrap();
        }
    }
    Arc::into_inner(requests).unwrap().acknowledged.into_inner().unwrap()
}

async fn every_acknowledged_run_ends_once(database: Database) {
    let data = tempfile::tempdir().unwrap();
    let start = || Process::start_on(data.path(), &database, SETTINGS);
    let server = start();
    deploy(&server).await;
    server.kill();
    let runs = killed_in_a_loop(&start).await;
    assert_eq!(runs.len(), RUNS);

    let server = start();
    let ended = eventually("every run has ended", async || {
        let all = server.all("/v1/runs").await;
        let open = all.iter().filter(|run| run["finishedTime"].is_null()).count();
        if open == 0 { Ok(all) } else { Err(format!("{open} runs are open")) }
    })
    .await;
    let by_id: HashMap<&str, &Value> =
        ended.iter().map(|run| (run["name"].as_str().unwrap(), run)).collect();
    assert_eq!(ended.len(), by_id.len(), "a run is listed twice");
    assert_eq!(ended.len(), RUNS, "a repeated request made a second run");
    for (n, id) in &runs {
        let run = by_id.get(id.as_str()).unwrap_or_else(|| panic!("run {id} is lost"));
        let (status, attempts) = match fate(*n) {
            Fate::Succeeds => ("READY", 1),
            Fate::Retried => ("READY", 2),
            Fate::Dies => ("ERROR", 2),
        };
        assert_eq!(run["status"], status, "{n}: {run}");
        assert!(run["attempts"].as_u64() >= Some(attempts), "{n}: {run}");
    }
    let mut dead: Vec<_> = server.all("/v1/deadletters").await;
    let dying = runs.keys().filter(|n| fate(**n) == Fate::Dies).count();
    assert_eq!(dead.len(), dying);
    replayed_once(server, &start, dead.remove(0)).await;
}

/// A replay whose answer is lost with the server is asked for again, and makes one run.
async fn replayed_once(server: Process, start: &impl Fn() -> Process, dead: Value) {
    let letter = format!("/v1/deadletters/{}", dead["name"].as_str().unwrap());
    let before = server.all("/v1/deadletters").await.len();
    let replay = server.request(Method::POST, &format!("{letter}/replay")).send();
    let replaying = tokio::spawn(replay);
    tokio::task::yield_now().await;
    server.kill();
    // It may have been answered or not; what follows must hold for both.
    let _ = replaying.await.unwrap();
    let server = start();
    let again = server.post(&format!("{letter}/replay"), json!({})).await;
    assert!([202, 404].contains(&again.status), "{again:?}");
    eventually("the replay is dead too, and is all there is more", async || {
        let (runs, dead) = (server.all("/v1/runs").await, server.all("/v1/deadletters").await);
        let seen = (runs.len(), dead.len());
        if seen == (RUNS + 1, before) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    assert_eq!(server.get(&letter).await.status, 404);
    let log = server.get("/v1/audit/verify").await.expect(200).json();
    assert_eq!(log["right"], true, "{log}");
    assert_eq!(server.all("/v1/audit?action=replay").await.len(), 1, "it happened once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_run_ends_once_on_sqlite() {
    every_acknowledged_run_ends_once(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_run_ends_once_on_postgres() {
    if let Some(database) = Database::postgres().await {
        every_acknowledged_run_ends_once(database).await;
    }
}

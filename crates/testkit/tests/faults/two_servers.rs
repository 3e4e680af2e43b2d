//! Two servers over one PostgreSQL: what one is told, the other does.

use std::time::{Duration, Instant};

use base64::Engine as _;
use dispatch_testkit::{Answer, Database, Environment, Process, eventually, send};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{ECHO, HELLO};

/// Both seal with the same key, and claim the runs of the other soon after it died.
const SETTINGS: Environment<'static> = &[
    ("DISPATCH_SEAL__ROOT_KEY", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="),
    ("DISPATCH_RUNS__LEASE_S", "2"),
];

/// How long a change of one server may take to hold on the other. A second is what is promised;
/// the rest is for a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(5);

struct Pair {
    one: Process,
    other: Process,
    _data: [tempfile::TempDir; 2],
}

impl Pair {
    async fn start() -> Option<Self> {
        let database = Database::postgres().await?;
        let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let start = |n: usize| Process::start_on(data[n].path(), &database, SETTINGS);
        let (one, other) = (start(0), start(1));
        one.image("wasm").await;
        Some(Self { one, other, _data: data })
    }

    /// Waits until the other server's gateway answers so, and no longer than a change may take.
    async fn other_answers(&self, path: &str, so: impl Fn(&Answer) -> bool) {
        let began = Instant::now();
        eventually(&format!("{path} of the other server"), async || {
            let answer = send(self.other.gateway(Method::GET, path)).await;
            if so(&answer) { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    }
}

fn source(text: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_changes_holds_on_the_other() {
    let Some(pair) = Pair::start().await else { return };
    let is_echo = |answer: &Answer| answer.status == 200 && answer.text.contains("httpContext");
    pair.one.function("f", "wasm", ECHO, json!({})).await;
    let api = json!({"name": "f", "function": "f", "uris": ["/f"], "methods": ["GET"]});
    pair.one.post("/v1/api", api).await.expect(200);
    pair.one.wait_for("/v1/api/f", "READY").await;
    pair.other_answers("/dispatch/f", is_echo).await;

    let secret = json!({"name": "s", "secrets": {"k": "first"}});
    pair.one.post("/v1/secret", secret).await.expect(201);
    let named = json!({"image": "wasm", "secrets": ["s"]});
    pair.one.put("/v1/function/f", named).await.expect(200);
    pair.one.wait_for("/v1/function/f", "READY").await;
    pair.other_answers("/dispatch/f", |answer| answer.text.contains("first")).await;
    pair.one.put("/v1/secret/s", json!({"secrets": {"k": "second"}})).await.expect(201);
    pair.other_answers("/dispatch/f", |answer| answer.text.contains("second")).await;

    let hello = json!({"image": "wasm", "source": source(HELLO)});
    pair.one.put("/v1/function/f", hello).await.expect(200);
    pair.one.wait_for("/v1/function/f", "READY").await;
    pair.other_answers("/dispatch/f", |answer| answer.text.contains("greeting")).await;

    pair.one.delete("/v1/function/f").await.expect(200);
    pair.one.wait_gone("/v1/function/f").await;
    pair.other_answers("/dispatch/f", |answer| {
        answer.status == 404 && answer.text.contains("function f not found")
    })
    .await;
    pair.one.delete("/v1/api/f").await.expect(200);
    pair.one.wait_gone("/v1/api/f").await;
    pair.other_answers("/dispatch/f", |answer| answer.text.contains("no API found")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_both_at_once_are_one() {
    let Some(pair) = Pair::start().await else { return };
    pair.one.function("f", "wasm", ECHO, json!({})).await;
    for n in 0..20 {
        let ask = async |server: &Process| {
            let request = server.request(Method::POST, "/v1/runs?functionName=f");
            let body = json!({"input": n, "blocking": n % 2 == 0});
            let answer = send(request.header("idempotency-key", n.to_string()).json(&body)).await;
            answer.json()["name"].as_str().unwrap().to_owned()
        };
        let (a, b) = tokio::join!(ask(&pair.one), ask(&pair.other));
        assert_eq!(a, b);
    }
    assert_eq!(pair.other.all("/v1/runs").await.len(), 20);

    let tag = pair.one.get("/v1/function/f").await.header("etag").to_owned();
    let put = |server: &Process, value: &str| {
        let request = server.request(Method::PUT, "/v1/function/f").header("if-match", &tag);
        let tags = json!([{"key": "by", "value": value}]);
        send(request.json(&json!({"image": "wasm", "tags": tags})))
    };
    let (a, b) = tokio::join!(put(&pair.one, "one"), put(&pair.other, "other"));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

/// Takes its time, so that the server that took the runs cannot have executed them all.
const SLOW: &[u8] = b"import time\ndef handle(context, payload):\n    \
    time.sleep(0.1)\n    return payload\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_killed_server_are_executed_by_the_other() {
    const RUNS: usize = 60;
    let Some(pair) = Pair::start().await else { return };
    pair.one.image("python3").await;
    pair.one.function("slow", "python3", SLOW, json!({"concurrency": 2})).await;
    let accept = async |n: usize| {
        let body = json!({"input": n});
        let run = pair.one.post("/v1/runs?functionName=slow", body).await.expect(202).json();
        run["name"].as_str().unwrap().to_owned()
    };
    let mut ids = join_all((0..RUNS).map(accept)).await;
    let ended = |runs: &[Value]| runs.iter().filter(|r| !r["finishedTime"].is_null()).count();
    assert!(ended(&pair.other.all("/v1/runs").await) < RUNS, "nothing is left for the other");
    pair.one.kill();
    let runs = eventually("the other has executed them", async || {
        let runs = pair.other.all("/v1/runs").await;
        let count = ended(&runs);
        if count == RUNS { Ok(runs) } else { Err(format!("{count} have ended")) }
    })
    .await;
    assert!(runs.iter().all(|run| run["status"] == "READY"), "{runs:?}");
    let mut recorded: Vec<_> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    recorded.sort_unstable();
    ids.sort_unstable();
    assert_eq!(recorded, ids, "each is recorded once");
}

//! What operators read: health, metrics, logs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_testkit::{Database, Options, Process, Server, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;

/// The series of a scrape, checked to be the text format: every one belongs to a family that was
/// declared before it, is there once, and has a number.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut families, mut series) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            continue;
        }
        if line.starts_with("# ") {
            continue;
        }
        let (id, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
        let name = id.split('{').next().unwrap();
        let known = families.iter().any(|(family, kind)| match kind.as_str() {
            "counter" => name == format!("{family}_total"),
            "histogram" => {
                ["_bucket", "_sum", "_count"].iter().any(|part| name == format!("{family}{part}"))
            }
            _ => name == family,
        });
        assert!(known, "of no declared family: {line}");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(series.insert(id.to_owned(), value).is_none(), "twice: {line}");
    }
    assert!(text.ends_with("# EOF\n"), "the text does not come to its end");
    series
}

async fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.get("/metrics").await.expect(200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    parse(&answer.text)
}

/// A series whose name and labels hold all these parts; 0 when there is none yet.
fn value(series: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let fits = |id: &&String| {
        id.split('{').next() == Some(name) && labels.iter().all(|label| id.contains(label))
    };
    let found: Vec<_> = series.keys().filter(fits).collect();
    assert!(found.len() < 2, "{name} {labels:?} is not one series: {found:?}");
    found.first().map_or(0.0, |id| series[*id])
}

async fn function(server: &Server, name: &str, image: &str, source: &[u8], more: Value) {
    let mut shape = json!({"name": name, "image": image, "source": STANDARD.encode(source)});
    shape.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/v1/function", shape).await.expect(201);
    server.wait_for(&format!("/v1/function/{name}"), "READY").await;
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let server = Server::start().await;
    let before = scrape(&server).await;
    for name in ["a", "b"] {
        server.get(&format!("/v1/secret/{name}")).await.expect(404);
    }
    server.post("/v1/secret/", json!({"name": "a", "secrets": {}})).await.expect(201);
    server.get("/v1/secret/a").await.expect(200);
    server.get("/v1/nowhere/at/all").await.expect(404);
    send(server.request(Method::PATCH, "/v1/secret")).await.expect(405);
    let odd = Method::from_bytes(b"BREW").unwrap();
    send(server.request(odd, "/v1/secret")).await.expect(405);
    let after = scrape(&server).await;
    let moved = |labels: &[&str]| {
        let name = "dispatch_api_requests_total";
        value(&after, name, labels) - value(&before, name, labels)
    };
    let one = "route=\"/v1/secret/{name}\"";
    let all = "route=\"/v1/secret\"";
    assert_eq!(moved(&[one, "method=\"GET\"", "status=\"404\""]), 2.0);
    assert_eq!(moved(&[one, "method=\"GET\"", "status=\"200\""]), 1.0);
    assert_eq!(moved(&[all, "method=\"POST\"", "status=\"201\""]), 1.0);
    assert_eq!(moved(&[all, "method=\"PATCH\"", "status=\"405\""]), 1.0);
    assert_eq!(moved(&[all, "method=\"(other)\"", "status=\"405\""]), 1.0);
    assert_eq!(moved(&["route=\"(none)\"", "method=\"GET\"", "status=\"404\""]), 1.0);
    assert!(after.keys().all(|id| !id.contains("nowhere") && !id.contains("BREW")));

    let seconds = "dispatch_api_request_seconds";
    let labels = [one, "method=\"GET\""];
    assert_eq!(value(&after, &format!("{seconds}_count"), &labels), 3.0);
    let sum = value(&after, &format!("{seconds}_sum"), &labels);
    assert!(sum > 0.0 && sum < 60.0, "{sum}");
    let bucket = format!("{seconds}_bucket");
    assert_eq!(value(&after, &bucket, &[one, "method=\"GET\"", "le=\"+Inf\""]), 3.0);
}

#[tokio::test]
async fn metrics_move_with_a_run() {
    let server = Server::start().await;
    server.image("python3").await;
    let source = b"def handle(ctx, payload):\n    return payload\n";
    function(&server, "f", "python3", source, json!({})).await;
    let before = scrape(&server).await;
    let run = json!({"blocking": true, "input": 7});
    let done = server.post("/v1/runs?functionName=f", run).await.expect(200).json();
    assert_eq!(done["output"], 7);
    let after = scrape(&server).await;
    let moved = |name: &str, labels: &[&str]| {
        let all = [&["engine=\"process\""], labels].concat();
        value(&after, name, &all) - value(&before, name, &all)
    };
    assert_eq!(moved("dispatch_run_attempts_total", &["outcome=\"ok\""]), 1.0);
    for phase in ["wait", "handler", "own", "total"] {
        let label = format!("phase=\"{phase}\"");
        assert_eq!(moved("dispatch_run_seconds_count", &[&label]), 1.0, "{phase}");
        assert!(moved("dispatch_run_seconds_sum", &[&label]) >= 0.0, "{phase}");
    }
    assert!(moved("dispatch_run_seconds_sum", &["phase=\"total\""]) > 0.0);
    assert_eq!(value(&after, "dispatch_workers_idle", &[]), 1.0, "the worker is kept warm");
    let total = "dispatch_run_writer_written";
    eventually("the run is written", async || {
        let now = scrape(&server).await;
        (value(&now, total, &[]) >= 1.0).then_some(()).ok_or("not yet")
    })
    .await;
}

#[tokio::test]
async fn metrics_show_work_under_way() {
    let server = Server::start().await;
    server.image("python3").await;
    let source = b"import time\ndef handle(ctx, payload):\n    time.sleep(payload)\n";
    function(&server, "f", "python3", source, json!({"concurrency": 2})).await;
    let before = scrape(&server).await;
    for _ in 0..6 {
        server.post("/v1/runs?functionName=f", json!({"input": 0.3})).await.expect(202);
    }
    // Three rounds of two are to be run, so this look comes before their end.
    let during = scrape(&server).await;
    assert!(value(&during, "dispatch_run_queue_depth", &[]) >= 3.0);
    eventually("two workers are busy", async || {
        let now = scrape(&server).await;
        let busy = value(&now, "dispatch_workers_busy", &[]);
        (busy == 2.0).then_some(()).ok_or(busy)
    })
    .await;
    let after = eventually("all have ended", async || {
        let now = scrape(&server).await;
        let depth = value(&now, "dispatch_run_queue_depth", &[]);
        (depth == 0.0).then_some(now).ok_or(depth)
    })
    .await;
    let moved = |name: &str, label: &str| {
        let labels = ["engine=\"process\"", label];
        value(&after, name, &labels) - value(&before, name, &labels)
    };
    assert_eq!(moved("dispatch_run_attempts_total", "outcome=\"ok\""), 6.0);
    assert_eq!(moved("dispatch_run_seconds_count", "phase=\"queued\""), 6.0);
    assert!(moved("dispatch_run_cold_starts_total", "") >= 1.0, "the second worker was started");
}

#[tokio::test]
async fn health_is_told_without_signing_in() {
    let settings = "[auth]\nmode = \"required\"\n[bootstrap]\nuser = \"b\"\npublic_key = \"";
    let settings = format!("{settings}{}\"", crate::iam::public_key());
    let server = Server::start_with(Options { settings }).await;
    server.get("/v1/secret").await.expect(401);
    let health = server.get("/healthz").await.expect(200).json();
    assert_eq!(health["version"]["version"], env!("CARGO_PKG_VERSION"));
    let ready = server.get("/readyz").await.expect(200).json();
    assert_eq!(ready["ready"], true);
    let checks = ready["checks"].as_object().unwrap();
    for check in ["database", "runs", "engine process", "engine wasm"] {
        assert_eq!(checks[check], "ok", "{ready}");
    }
    scrape(&server).await;
}

/// The way to a database, which can be cut.
struct Way {
    address: std::net::SocketAddr,
    socket: String,
    open: Option<tokio::task::JoinHandle<()>>,
}

impl Way {
    async fn new(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut way = Self { address, socket, open: None };
        way.serve(listener);
        way
    }

    fn serve(&mut self, listener: TcpListener) {
        let socket = self.socket.clone();
        self.open = Some(tokio::spawn(async move {
            // Dropped with all its connections when the way is cut.
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let socket = socket.clone();
                connections.spawn(async move {
                    let mut server = UnixStream::connect(&socket).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        }));
    }

    async fn cut(&mut self) {
        let open = self.open.take().unwrap();
        open.abort();
        let _ = open.await;
    }

    async fn mend(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_database_is_away_is_not_ready() {
    let Some(database) = Database::postgres().await else { return };
    let (start, folder) = database.url().split_once("?host=").unwrap();
    let database = start.rsplit('/').next().unwrap();
    let mut way = Way::new(format!("{folder}/.s.PGSQL.5432")).await;
    let by_way = Database::at(format!("postgres://dispatch@{}/{database}", way.address));
    let server = Server::start_on(by_way, Options::default()).await;
    server.get("/readyz").await.expect(200);

    way.cut().await;
    let away = eventually("it is not ready", async || {
        let answer = tokio::time::timeout(Duration::from_secs(5), server.get("/readyz")).await;
        let answer = answer.expect("the answer does not wait for the database");
        (answer.status == 503).then_some(answer.json()).ok_or(answer.text)
    })
    .await;
    assert_eq!(away["ready"], false);
    let why = away["checks"]["database"].as_str().unwrap();
    assert!(why.contains("the database does not answer"), "{away}");
    server.get("/healthz").await.expect(200);
    assert!(value(&scrape(&server).await, "dispatch_workers_busy", &[]) == 0.0);

    way.mend().await;
    eventually("it is ready again", async || {
        let answer = server.get("/readyz").await;
        (answer.status == 200).then_some(()).ok_or(answer.text)
    })
    .await;
    server.post("/v1/secret", json!({"name": "s", "secrets": {}})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_goes_from_the_gateway_to_the_handler_and_into_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DISPATCH_LOG", "dispatch_server=debug"), ("DISPATCH_LOG__FORMAT", "json")];
    let process = Arc::new(Process::start_on(folder.path(), &Database::sqlite(), &environment));
    let http = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        send(http.post(format!("{}{path}", process.api)).json(&body)).await
    };
    let base = json!({"name": "b", "dockerUrl": "host:wasm", "language": "wasm"});
    post("/v1/baseimage", base).await.expect(201);
    post("/v1/image", json!({"name": "i", "baseImageName": "b"})).await.expect(201);
    let source = STANDARD.encode(include_bytes!("../../../../examples/wasm/echo.wat"));
    let shape = json!({"name": "f", "image": "i", "source": source});
    post("/v1/function", shape).await.expect(201);
    post("/v1/api", json!({"name": "a", "function": "f", "uris": ["/a"]})).await.expect(200);
    let called = eventually("the route answers", async || {
        let url = format!("{}/dispatch/a", process.gateway);
        let answer = send(http.get(url).header("x-request-id", "from-afar-17")).await;
        (answer.status == 200).then_some(answer.clone()).ok_or(answer.text)
    })
    .await;
    assert_eq!(called.header("x-request-id"), "from-afar-17");
    let context = &called.json()["context"];
    assert_eq!(context["requestId"], "from-afar-17");
    let run = context["runId"].as_str().unwrap().to_owned();
    send(http.get(format!("{}/v1/secret/none", process.api)).header("x-request-id", "api-18"))
        .await
        .expect(404);

    // Before the route was there it answered 404, under the same id.
    let find = |id: &str, fields: Value| {
        let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap();
        let lines = log.lines().filter(|line| line.contains(id));
        let mut lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let fields = fields.as_object().unwrap();
        lines.find(|line| fields.iter().all(|(field, value)| line[field] == *value))
    };
    let ended = eventually("the run is in the log", async || {
        find("from-afar-17", json!({"message": "a run ended", "run": run})).ok_or("not yet")
    })
    .await;
    assert_eq!(ended["request_id"], "from-afar-17");
    assert_eq!(ended["function"], "f");
    let answered = eventually("the answer is in the log", async || {
        find("from-afar-17", json!({"message": "answered", "status": 200})).ok_or("not yet")
    })
    .await;
    assert_eq!(answered["path"], "/dispatch/a");
    let answered = eventually("the API's answer is in the log", async || {
        find("api-18", json!({"message": "answered"})).ok_or("not yet")
    })
    .await;
    assert_eq!(
        (&answered["status"], &answered["span"]["id"], &answered["span"]["path"]),
        (&json!(404), &json!("api-18"), &json!("/v1/secret/none"))
    );
}

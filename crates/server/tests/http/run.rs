//! Runs: blocking and not, listed, followed, repeated, dead and replayed.

use std::time::Duration;

use base64::Engine as _;
use dispatch_testkit::{Answer, Options, Server, eventually, send};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

/// Answers with its context and payload. Runs where nothing is installed.
const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");

async fn server() -> Server {
    let server = Server::start().await;
    server.image("wasm").await;
    function(&server, "echo", json!({})).await;
    server
}

/// A function that echoes, and that fails when its payload says `"fail": true`.
async fn function(server: &Server, name: &str, more: Value) {
    let source = base64::engine::general_purpose::STANDARD.encode(ECHO);
    let no_failure = json!({"properties": {"payload": {"properties": {"fail": {"const": false}}}}});
    let mut shape = json!({"name": name, "image": "wasm", "source": source, "backoffMs": 1,
        "schema": {"out": no_failure}});
    shape.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/v1/function", shape).await.expect(201);
    server.wait_for(&format!("/v1/function/{name}"), "READY").await;
}

async fn run(server: &Server, function: &str, body: Value) -> Answer {
    server.post(&format!("/v1/runs?functionName={function}"), body).await
}

fn id(run: &Value) -> String {
    run["name"].as_str().expect("a run has its id as name").to_owned()
}

#[tokio::test]
async fn a_blocking_run_answers_with_the_finished_run() {
    let server = server().await;
    let body =
        json!({"blocking": true, "input": {"a": [1, 2.50]}, "tags": [{"key": "k", "value": "v"}]});
    let done = run(&server, "echo", body).await.expect(200).json();
    assert_eq!(done["status"], "READY");
    assert_eq!(done["output"]["payload"], json!({"a": [1, 2.5]}));
    assert_eq!(done["output"]["context"]["runId"], done["name"]);
    assert_eq!(done["functionName"], "echo");
    assert!(done["executedTime"].as_i64() <= done["finishedTime"].as_i64());
    assert_eq!(done["tags"], json!([{"key": "k", "value": "v"}]));

    let found = server.get(&format!("/v1/runs/{}", id(&done))).await.expect(200).json();
    assert_eq!(found, done);
    let path = format!("/v1/runs/{}?functionName=echo", id(&done));
    server.get(&path).await.expect(200);
    server.get(&format!("/v1/runs/{}?functionName=other", id(&done))).await.expect(404);
    let logs = server.get(&format!("/v1/runs/{}/logs", id(&done))).await.expect(200).json();
    assert_eq!(logs, done["logs"]);
}

#[tokio::test]
async fn the_name_may_stand_in_the_body_and_the_body_may_be_empty() {
    let server = server().await;
    let body = json!({"blocking": true, "functionName": "echo"});
    let done = server.post("/v1/runs", body).await.expect(200).json();
    assert_eq!(
        (&done["status"], done["output"].get("payload")),
        (&json!("READY"), Some(&Value::Null))
    );
    let empty = send(server.request(Method::POST, "/v1/runs?functionName=echo")).await;
    assert_eq!(empty.expect(202).json()["status"], "INITIALIZED");
    let nameless = server.post("/v1/runs", json!({"blocking": true})).await.expect(400).error();
    assert_eq!(nameless.field.as_deref(), Some("functionName"));
}

#[tokio::test]
async fn a_failed_blocking_run_is_200_and_says_whose_fault() {
    let server = server().await;
    let out = json!({"properties": {"payload": {"required": ["x"]}}});
    let schemas = json!({"schema": {"in": {"type": "object"}, "out": out}});
    function(&server, "strict", schemas).await;
    let cases = [
        ("echo", json!({"fail": true}), "FunctionError", "schema.out"),
        ("strict", json!([]), "InputError", "schema.in"),
        ("strict", json!({}), "FunctionError", "/payload"),
    ];
    for (function, input, kind, part) in cases {
        let body = json!({"blocking": true, "input": input});
        let failed = run(&server, function, body).await.expect(200).json();
        assert_eq!((&failed["status"], &failed["error"]["type"]), (&json!("ERROR"), &json!(kind)));
        assert!(failed["error"]["message"].to_string().contains(part), "{failed}");
        assert!(failed["finishedTime"].as_i64() > Some(1_700_000_000), "{failed}");
    }
    let body = json!({"blocking": true, "secrets": ["nope"]});
    let failed = run(&server, "echo", body).await.expect(200).json();
    assert_eq!(failed["error"]["type"], "InputError");
    assert!(failed["error"]["message"].to_string().contains("nope"), "{failed}");
}

#[tokio::test]
async fn what_cannot_run_is_404() {
    let server = server().await;
    let missing = run(&server, "nope", json!({})).await.expect(404).error();
    assert!(missing.message.contains("nope"), "{missing:?}");
    run(&server, "..%2F", json!({})).await.expect(404);
    let shape = json!({"name": "broken", "image": "wasm", "source": "KGNvbXBvbmVudA=="});
    server.post("/v1/function", shape).await.expect(201);
    server.wait_for("/v1/function/broken", "ERROR").await;
    let broken = run(&server, "broken", json!({"blocking": true})).await.expect(404).error();
    assert_eq!(broken.error_code.as_deref(), Some("API007"));
    for id in ["nope", "00000000-0000-7000-8000-000000000000"] {
        server.get(&format!("/v1/runs/{id}")).await.expect(404);
        server.get(&format!("/v1/deadletters/{id}")).await.expect(404);
        server.delete(&format!("/v1/deadletters/{id}")).await.expect(404);
        let replay = format!("/v1/deadletters/{id}/replay");
        server.post(&replay, json!({})).await.expect(404);
    }
}

#[tokio::test]
async fn bad_input_is_refused_and_nothing_is_stored() {
    let options = Options { settings: "[runs]\nmax_payload_bytes = 1000".to_owned() };
    let server = Server::start_with(options).await;
    let post = async |body: String| {
        let request = server.request(Method::POST, "/v1/runs?functionName=echo");
        send(request.header("content-type", "application/json").body(body)).await
    };
    let deep = |field: &str| {
        format!(
            "{{\"{field}\":{}{}}}",
            "{\"a\":".repeat(10_000),
            "1".to_owned() + &"}".repeat(10_000)
        )
    };
    for field in ["input", "event", "httpContext"] {
        let answer = post(deep(field)).await.expect(400).error();
        assert!(answer.message.contains("deep") || answer.message.contains("128"), "{answer:?}");
    }
    for (body, field) in [
        ("{\"input\": nul}", None),
        ("[]", None),
        ("{\"unknown\": 1}", Some("unknown")),
        ("{\"event\": 7}", Some("event")),
        ("{\"httpContext\": []}", Some("httpContext")),
        ("{\"tags\": [{\"key\": \"\"}]}", Some("tags[0].key")),
        ("{\"blocking\": \"yes\"}", Some("blocking")),
    ] {
        let error = post(body.to_owned()).await.expect(400).error();
        if let Some(field) = field {
            let named = error.field.as_deref() == Some(field) || error.message.contains(field);
            assert!(named, "{body}: {error:?}");
        }
    }
    let large = format!("{{\"input\":\"{}\"}}", "x".repeat(1_000));
    assert!(post(large).await.expect(413).error().message.contains("runs.max_payload_bytes"));
    let names: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
    post(json!({"secrets": names}).to_string()).await.expect(400);
    assert_eq!(server.get("/v1/runs").await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn a_non_blocking_run_is_accepted_then_ends() {
    let server = server().await;
    let accepted = run(&server, "echo", json!({"input": 7})).await.expect(202).json();
    assert_eq!(accepted["status"], "INITIALIZED");
    let path = format!("/v1/runs/{}", id(&accepted));
    let logs = server.get(&format!("{path}/logs?follow=true")).await.expect(200).json();
    assert_eq!(logs, json!({"stdout": [], "stderr": []}));
    let done = server.get(&path).await.expect(200).json();
    assert_eq!((&done["status"], &done["output"]["payload"]), (&json!("READY"), &json!(7)));
    assert!(done.get("blocking").is_none(), "{done}");
}

#[tokio::test]
async fn a_key_makes_a_repeat_return_the_first_run() {
    let server = server().await;
    let keyed = async |key: &str, body: Value| {
        let request = server.request(Method::POST, "/v1/runs?functionName=echo");
        send(request.header("Idempotency-Key", key).json(&body)).await
    };
    let first = keyed("one", json!({"blocking": true, "input": 1})).await.expect(200).json();
    let repeat = keyed("one", json!({"blocking": true, "input": 2})).await.expect(200).json();
    assert_eq!(repeat, first);
    let other = keyed("two", json!({"blocking": true, "input": 2})).await.expect(200).json();
    assert_ne!(id(&other), id(&first));
    let later = keyed("one", json!({})).await.expect(202).json();
    assert_eq!(id(&later), id(&first));
    for bad in ["", &"k".repeat(256)] {
        let error = keyed(bad, json!({})).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some("Idempotency-Key"));
    }
    keyed(&"k".repeat(255), json!({})).await.expect(202);
}

#[tokio::test]
async fn lists_are_filtered_paged_and_ordered() {
    let server = server().await;
    function(&server, "other", json!({})).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let tags = json!([{"key": "even", "value": (n % 2 == 0).to_string()}]);
        let input = json!({"fail": n == 4});
        let body = json!({"blocking": true, "input": input, "tags": tags});
        ids.push(id(&run(&server, "echo", body).await.expect(200).json()));
    }
    let other = id(&run(&server, "other", json!({"blocking": true})).await.expect(200).json());
    let list = async |query: &str| server.get(&format!("/v1/runs{query}")).await.expect(200);
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();

    assert_eq!(list("?functionName=echo").await.names(), newest_first);
    assert_eq!(list("/?functionName=echo&sort=created").await.names(), ids);
    assert_eq!(list("?functionName=other").await.names(), [other]);
    assert_eq!(list("?status=ERROR").await.names(), [ids[4].clone()]);
    assert_eq!(list("?tags=even=false").await.names(), [ids[3].clone(), ids[1].clone()]);
    assert_eq!(list("?since=4102444800").await.names(), Vec::<String>::new());
    assert_eq!(list("?since=1").await.names().len(), 6);

    let page = list("?functionName=echo&limit=3").await;
    assert_eq!(page.names(), newest_first[..3]);
    let token = page.header("x-dispatch-continue").to_owned();
    let rest = list(&format!("?functionName=echo&limit=3&continue={token}")).await;
    assert_eq!(rest.names(), newest_first[3..]);
    assert_eq!(rest.header("x-dispatch-continue"), "");
    for bad in
        ["?nope=1", "?since=soon", "?since=-1", "?continue=x", "?sort=-name", "?limit=0", "?name=x"]
    {
        server.get(&format!("/v1/runs{bad}")).await.expect(400);
    }
}

#[tokio::test]
async fn a_followed_list_shows_runs_that_begin_and_end() {
    let server = server().await;
    let path = "/v1/runs?watch=true&functionName=echo";
    let response = server.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let accepted = run(&server, "echo", json!({"input": 7})).await.expect(202).json();
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("\"MODIFIED\"") {
        let chunk = tokio::time::timeout(Duration::from_secs(20), chunks.next()).await;
        let chunk = chunk.expect("events come").expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let seen: Vec<_> = events.iter().map(|e| (e["type"].as_str(), id(&e["object"]))).collect();
    let id = id(&accepted);
    assert_eq!(seen, [(Some("ADDED"), id.clone()), (Some("MODIFIED"), id)]);
}

#[tokio::test]
async fn a_run_that_fails_for_good_is_a_dead_letter_until_it_is_replayed() {
    let server = server().await;
    function(&server, "retried", json!({"retries": 2})).await;
    let body = json!({"input": {"fail": true}, "tags": [{"key": "k", "value": "v"}]});
    let accepted = run(&server, "retried", body).await.expect(202).json();
    let dead = server.wait_for(&format!("/v1/runs/{}", id(&accepted)), "ERROR").await;
    assert_eq!(dead["attempts"], 3);
    assert_eq!(server.get("/v1/deadletters").await.expect(200).names(), [id(&dead)]);
    let listed = server.get("/v1/deadletters?functionName=echo").await.expect(200).json();
    assert_eq!(listed, json!([]));
    let path = format!("/v1/deadletters/{}", id(&dead));
    assert_eq!(server.get(&path).await.expect(200).json(), dead);

    let again = server.post(&format!("{path}/replay"), json!({})).await.expect(202).json();
    assert_ne!(id(&again), id(&dead));
    assert_eq!((&again["input"], &again["tags"]), (&dead["input"], &dead["tags"]));
    server.get(&path).await.expect(404);
    server.get(&format!("/v1/runs/{}", id(&dead))).await.expect(200);

    let second = format!("/v1/deadletters/{}", id(&again));
    eventually("the replay is dead too", async || {
        let answer = server.get(&second).await;
        (answer.status == 200).then_some(()).ok_or(answer.text)
    })
    .await;
    server.delete(&second).await.expect(200);
    assert_eq!(server.get("/v1/deadletters").await.expect(200).json(), json!([]));
    server.get(&format!("/v1/runs/{}", id(&again))).await.expect(200);
}

#[tokio::test]
async fn a_secret_reaches_the_handler_and_nothing_else() {
    let server = server().await;
    let secret = json!({"name": "db", "secrets": {"password": "canary-52c1"}});
    server.post("/v1/secret", secret).await.expect(201);
    // A function that answers with its context fails unless it got what its schema says.
    let expecting = |secrets: Value| {
        let context = json!({"properties": {"secrets": {"const": secrets}}});
        json!({"secrets": ["db"], "schema": {"out": {"properties": {"context": context}}}})
    };
    function(&server, "wrong", expecting(json!({"password": "other"}))).await;
    let failed = run(&server, "wrong", json!({"blocking": true})).await.expect(200);
    assert_eq!(failed.json()["error"]["type"], "FunctionError");
    assert_eq!(failed.json()["secrets"], json!(["db"]));
    let list = server.get("/v1/runs").await.expect(200);
    assert!(!failed.text.contains("canary") && !list.text.contains("canary"), "{}", list.text);

    function(&server, "right", expecting(json!({"password": "canary-52c1"}))).await;
    let done = run(&server, "right", json!({"blocking": true})).await.expect(200).json();
    assert_eq!(done["status"], "READY");
    server.delete("/v1/secret/db").await.expect(204);
    eventually("the secret is gone", async || {
        let failed = run(&server, "right", json!({"blocking": true})).await.expect(200).json();
        (failed["error"]["type"] == "InputError").then_some(()).ok_or(failed.to_string())
    })
    .await;
}

#[tokio::test]
async fn accepted_runs_outlive_the_server() {
    let mut server = server().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let accepted = run(&server, "echo", json!({"input": n})).await.expect(202).json();
        ids.push(id(&accepted));
    }
    server.restart().await;
    for id in ids {
        server.wait_for(&format!("/v1/runs/{id}"), "READY").await;
    }
}

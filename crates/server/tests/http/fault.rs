//! Handlers, secrets, payloads and clients that misbehave, as the gateway and the API show them.

use dispatch_testkit::{Answer, Options, Server, eventually, send};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");

/// A handler of each way to go wrong, chosen by its payload.
const WRONG: &[u8] = br#"
import os, time

def handle(context, payload):
    match payload.get('do'):
        case 'loop':
            while True:
                pass
        case 'exit':
            os._exit(3)
        case 'close':
            os.closerange(3, 256)
        case 'garbage':
            return object()
        case 'nan':
            return float('nan')
        case 'raise':
            raise ValueError('no such thing')
        case 'print':
            for n in range(20000):
                print('line', n)
        case 'sleep':
            time.sleep(1)
    return 'fine'
"#;

/// Serves a function at `/dispatch/NAME`.
async fn route(server: &Server, name: &str) {
    let uri = format!("/{name}");
    let api = json!({"name": name, "function": name, "uris": [uri], "methods": ["POST"]});
    server.post("/v1/api", api).await.expect(200);
    server.wait_for(&format!("/v1/api/{name}"), "READY").await;
}

async fn call(server: &Server, name: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.gateway(Method::POST, &format!("/dispatch/{name}"));
    send(request.header(CONTENT_TYPE, "application/json").body(body)).await
}

async fn wrong(more: Value) -> Server {
    let server = Server::start().await;
    server.image("python3").await;
    server.function("wrong", "python3", WRONG, more).await;
    route(&server, "wrong").await;
    server
}

async fn run_of(server: &Server, answer: &Answer) -> Value {
    let path = format!("/v1/runs/{}", answer.header("x-dispatch-run-id"));
    eventually("the run is recorded", async || {
        let run = server.get(&path).await;
        if run.status == 200 { Ok(run.json()) } else { Err(run.text) }
    })
    .await
}

#[tokio::test]
async fn a_handler_that_goes_wrong_is_502_with_its_error() {
    let server = wrong(json!({"timeout": 1_500})).await;
    for (what, part) in [
        // What had gone by before it began counts too.
        ("loop", "timed out after 1"),
        ("exit", "3"),
        ("close", "end"),
        ("garbage", "JSON"),
        ("nan", "JSON"),
        ("raise", "no such thing"),
    ] {
        let answer = call(&server, "wrong", json!({"do": what}).to_string()).await.expect(502);
        let body = answer.json();
        assert_eq!(body["type"], "FunctionError", "{what}: {body}");
        assert!(body["message"].to_string().contains(part), "{what}: {body}");
        let run = run_of(&server, &answer).await;
        assert_eq!((&run["status"], &run["error"]["type"]), (&json!("ERROR"), &body["type"]));
        // Whatever it did, the next call finds a handler that works.
        let fine = call(&server, "wrong", "{}").await.expect(200);
        assert_eq!(fine.json(), "fine", "after {what}");
    }
}

#[tokio::test]
async fn what_a_handler_prints_is_kept_up_to_a_limit_with_a_mark() {
    let server = wrong(json!({})).await;
    let answer = call(&server, "wrong", r#"{"do":"print"}"#).await.expect(200);
    let run = run_of(&server, &answer).await;
    let lines = run["logs"]["stdout"].as_array().unwrap();
    assert_eq!(lines[0], "line 0");
    let bytes: usize = lines.iter().map(|line| line.as_str().unwrap().len() + 1).sum();
    assert!((30_000..70_000).contains(&bytes), "{bytes}");
    let last = lines.last().unwrap().as_str().unwrap();
    assert!(!last.starts_with("line") && last.contains("65536"), "{last}");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_its_run() {
    let server = wrong(json!({})).await;
    call(&server, "wrong", "{}").await.expect(200);
    let request = server.gateway(Method::POST, "/dispatch/wrong").json(&json!({"do": "sleep"}));
    let sent = tokio::spawn(request.send());
    let metrics = async || server.get("/metrics").await.text;
    eventually("the handler is at work", async || {
        let text = metrics().await;
        let busy = text.lines().any(|l| l.contains("busy") && l.ends_with(" 1"));
        if busy { Ok(()) } else { Err(text) }
    })
    .await;
    sent.abort();
    assert!(sent.await.unwrap_err().is_cancelled());
    let runs = eventually("both runs are recorded", async || {
        let runs = server.get("/v1/runs").await;
        let list: Vec<Value> = runs.shape();
        if list.len() == 2 { Ok(list) } else { Err(runs.text) }
    })
    .await;
    assert!(runs.iter().all(|run| run["status"] == "READY"), "{runs:?}");
}

#[tokio::test]
async fn a_deleted_secret_is_named_by_whoever_needs_it() {
    let server = Server::start().await;
    server.image("wasm").await;
    server.post("/v1/secret", json!({"name": "db", "secrets": {"k": "v"}})).await.expect(201);
    server.function("f", "wasm", ECHO, json!({"secrets": ["db"]})).await;
    route(&server, "f").await;
    call(&server, "f", "{}").await.expect(200);
    server.delete("/v1/secret/db").await.expect(204);
    let refused = eventually("the secret is missed", async || {
        let answer = call(&server, "f", "{}").await;
        if answer.status == 422 { Ok(answer) } else { Err(answer.text) }
    })
    .await;
    let body = refused.json();
    assert_eq!(body["type"], "InputError");
    assert_eq!(body["message"], "SECRET001: secret db does not exist");
    server.post("/v1/secret", json!({"name": "db", "secrets": {"k": "v"}})).await.expect(201);
    eventually("the secret is found again", async || {
        let answer = call(&server, "f", "{}").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test]
async fn payloads_end_exactly_at_the_limit() {
    const MOST: usize = 10_000;
    let settings =
        format!("[gateway]\nmax_body_bytes = {MOST}\n[runs]\nmax_payload_bytes = {MOST}");
    let server = Server::start_with(Options { settings }).await;
    server.image("wasm").await;
    // The answer holds the payload and more, so it has a schema nothing of that size fits.
    server.function("f", "wasm", ECHO, json!({"schema": {"in": {"maxLength": 1}}})).await;
    route(&server, "f").await;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    call(&server, "f", text(MOST)).await.expect(422);
    let error = call(&server, "f", text(MOST + 1)).await.expect(413);
    assert!(error.text.contains("gateway.max_body_bytes"), "{}", error.text);
    // The same without saying beforehand how long it is.
    let parts = text(MOST + 1).into_bytes().chunks(999).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let parts = futures::stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>));
    call(&server, "f", reqwest::Body::wrap_stream(parts)).await.expect(413);
    let run = async |bytes: usize| {
        let body = format!(r#"{{"blocking":true,"input":{}}}"#, text(bytes));
        let request = server.request(Method::POST, "/v1/runs?functionName=f").body(body);
        send(request).await
    };
    assert_eq!(run(MOST).await.expect(200).json()["error"]["type"], "InputError");
    let error = run(MOST + 1).await.expect(413).error();
    assert!(error.message.contains("runs.max_payload_bytes"), "{error:?}");
}

#[tokio::test]
async fn deep_and_broken_json_is_refused_at_the_gateway() {
    let server = Server::start().await;
    server.image("wasm").await;
    server.function("f", "wasm", ECHO, json!({})).await;
    route(&server, "f").await;
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    for body in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        "[".repeat(1_000_000),
        "{\"a\":".to_owned(),
        "{} {}".to_owned(),
        "NaN".to_owned(),
        "\"\u{0}\"".to_owned(),
    ] {
        let shown: String = body.chars().take(20).collect();
        let refused = call(&server, "f", body).await;
        assert_eq!(refused.status, 400, "{shown}: {}", refused.text);
    }
    let not_utf8 = call(&server, "f", b"\"\xff\"".to_vec()).await;
    assert_eq!(not_utf8.status, 400, "{}", not_utf8.text);
    assert!(server.get("/v1/runs").await.expect(200).names().is_empty(), "nothing was run");
    call(&server, "f", deep("", "")).await.expect(200);
}

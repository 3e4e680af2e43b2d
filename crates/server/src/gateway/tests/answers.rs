//! From a run to a response, and what is answered without one.

use dispatch_driver::Error;
use dispatch_model::{InvocationError, InvocationErrorType, State, code};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::*;
use crate::invoke::testing::{eventually, ok, outcome};

fn run_id(answer: &Answer) -> Uuid {
    answer.header("x-dispatch-run-id").parse().unwrap()
}

#[tokio::test]
async fn output_is_the_body_and_runs_have_names() {
    let server = Server::new(TestEngine::new(|n, _| async move {
        ok(["{\"a\" : 1}", "\"text\"", "null", "\"\"", "[]"][n - 1])
    }))
    .await;
    server.api("/out", |_| ());
    for expected in ["{\"a\" : 1}", "\"text\"", "", "", "[]"] {
        let answer = server.send("GET", "/dispatch/out", &[("x-request-id", "abc-1")], "").await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, expected));
        let kind = if expected.is_empty() { "" } else { "application/json" };
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("x-request-id"), "abc-1");
        assert_eq!(answer.header("server"), "");
        let run = server.world.stored(run_id(&answer)).await.unwrap();
        assert_eq!(run.state, State::Ready);
        assert!(run.http_context.is_some());
    }
    let odd = server.send("GET", "/nothing", &[("x-request-id", "a b")], "").await;
    assert!(!odd.header("x-request-id").is_empty() && odd.header("x-request-id") != "a b");
}

#[tokio::test]
async fn failures_are_told_by_whose_they_are() {
    let server = Server::new(TestEngine::new(|n, _| async move {
        match n {
            1 => outcome(Err(InvocationError {
                kind: InvocationErrorType::FunctionError,
                message: "it threw".to_owned(),
                stacktrace: Vec::new(),
            })),
            _ => Err(Error::ours(code::ENGINE006, "it broke")),
        }
    }))
    .await;
    server.api("/out", |_| ());
    let schema_in = Some(json!({"type": "object", "required": ["name"]}));
    let strict = FunctionSpec { schema_in, ..FunctionSpec::default() };
    server.world.function("strict", strict).await;
    server.api("/strict", |spec| spec.function = "strict".to_owned());
    server.api("/missing", |spec| spec.function = "missing".to_owned());
    let failed = server.send("GET", "/dispatch/out", &[], "").await;
    assert_eq!(failed.status, 502);
    assert_eq!(failed.json(), json!({"message": "it threw", "type": "FunctionError"}));
    assert_eq!(server.world.stored(run_id(&failed)).await.unwrap().state, State::Error);
    let broken = server.send("GET", "/dispatch/out", &[], "").await;
    assert_eq!((broken.status.as_u16(), &broken.json()["type"]), (500, &json!("SystemError")));
    let calls = server.world.engine.calls();
    let wrong = server.send("GET", "/dispatch/strict?x=1", &[], "").await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["type"]), (422, &json!("InputError")));
    run_id(&wrong);
    assert_eq!(server.world.engine.calls(), calls);
    assert_eq!(server.send("GET", "/dispatch/missing", &[], "").await.status, 404);
}

#[tokio::test]
async fn not_blocking_is_accepted_and_then_run() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/out", |_| ());
    for value in ["false", "False"] {
        let headers = [("x-dispatch-blocking", value)];
        let answer = server.send("GET", "/dispatch/out?a=1", &headers, "").await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (202, ""));
        let run = server.world.ended(run_id(&answer)).await;
        assert_eq!(run.output.unwrap().get(), r#"{"a":"1"}"#);
    }
    let headers = [("x-dispatch-blocking", "true")];
    let answer = server.send("GET", "/dispatch/out?a=1", &headers, "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"a":"1"}"#));
}

#[tokio::test]
async fn what_has_no_route_is_not_run() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/on", |spec| spec.methods = vec!["GET".to_owned(), "POST".to_owned()]);
    server.api("/off", |spec| spec.enabled = false);
    server.api("/secure", |spec| spec.protocols = vec!["https".to_owned()]);
    let none = r#"{"message":"no API found with those values"}"#;
    for path in ["/dispatch/off", "/dispatch/on/", "/dispatch//on", "/other/on", "/", "/on"] {
        let answer = server.send("GET", path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (404, none), "{path}");
    }
    let answer = server.send("PATCH", "/dispatch/on", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, POST"));
    let answer = server.send("GET", "/dispatch/secure", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("upgrade")), (426, "TLS/1.2, HTTP/1.1"));
    assert_eq!(answer.body, r#"{"message":"Please use HTTPS protocol"}"#);
    for target in ["/dispatch/x/../on", "/dispatch/./on", "/dispatch/%zz", "/dispatch/%2", "*"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
    }
    let two = "GET /dispatch/on HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n";
    assert!(server.raw(two.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(server.world.engine.calls(), 0);
}

#[tokio::test]
async fn browsers_may_call_only_apis_with_cors() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/open", |spec| spec.cors = true);
    server.api("/closed", |_| ());
    let asks = [
        ("origin", "https://page.example.org"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-a, content-type"),
    ];
    let answer = server.send("OPTIONS", "/dispatch/open", &asks, "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let methods = "GET, HEAD, POST, PUT, DELETE, OPTIONS";
    assert_eq!(answer.header("access-control-allow-methods"), methods);
    assert_eq!(answer.header("access-control-allow-headers"), "x-a, content-type");
    assert_eq!(server.send("OPTIONS", "/dispatch/closed", &asks, "").await.status, 405);
    assert_eq!(server.world.engine.calls(), 0);
    let answer = server.send("GET", "/dispatch/open", &asks[..1], "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let json = [("content-type", "application/json")];
    let refused = server.send("POST", "/dispatch/open", &json, "{").await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    let answer = server.send("GET", "/dispatch/closed", &asks[..1], "").await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn head_is_get_without_a_body_and_requests_are_pipelined() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/out", |_| ());
    let head = "HEAD /dispatch/out?a=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = server.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-length: 9\r\n"));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let get = "GET /dispatch/out?a=2 HTTP/1.1\r\nHost: h\r\n\r\n";
    let answer = server.raw(format!("{get}{get}{head}").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 3, "{answer}");
    assert_eq!(answer.matches(r#"{"a":"2"}"#).count(), 2, "{answer}");
}

/// An engine that says which run it got and waits to be let on.
fn gated() -> (Arc<TestEngine>, mpsc::UnboundedReceiver<Uuid>, Arc<Notify>) {
    let (began, begun) = mpsc::unbounded_channel();
    let gate = Arc::new(Notify::new());
    let engine = TestEngine::new({
        let gate = gate.clone();
        move |_, call| {
            let (gate, began) = (gate.clone(), began.clone());
            async move {
                began.send(call.run_id).unwrap();
                gate.notified().await;
                ok("1")
            }
        }
    });
    (engine, begun, gate)
}

#[tokio::test]
async fn a_run_whose_client_left_ends_and_is_recorded() {
    let (engine, mut begun, gate) = gated();
    let server = Server::new(engine).await;
    server.api("/out", |_| ());
    let mut client = TcpStream::connect(server.http).await.unwrap();
    client.write_all(b"GET /dispatch/out HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let run = begun.recv().await.unwrap();
    drop(client);
    gate.notify_one();
    assert_eq!(server.world.ended(run).await.state, State::Ready);
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_is_under_way() {
    let (engine, mut begun, gate) = gated();
    let mut server = Server::new(engine).await;
    server.api("/out", |_| ());
    let idle = TcpStream::connect(server.http).await.unwrap();
    let url = format!("http://{}/dispatch/out", server.http);
    let asked = tokio::spawn(answer(reqwest::Client::new().get(url)));
    begun.recv().await.unwrap();
    server.stop.cancel();
    eventually(async || TcpStream::connect(server.http).await.err()).await;
    gate.notify_one();
    let answer = asked.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "1"));
    let serving = server.serving.take().unwrap();
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
    drop(idle);
}

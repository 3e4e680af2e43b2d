//! From a request to a function's input and httpContext.

use serde_json::{Value, json};

use super::*;
use crate::invoke::testing::ok;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn input_is_what_v1_says() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/in", |spec| spec.methods.push("OPTIONS".to_owned()));
    let cases = [
        // method, query, content type, body, status, answer
        ("POST", "", JSON, r#"{"a": 1.50}"#, 200, r#"{"a": 1.50}"#),
        ("PUT", "", "Application/JSON; charset=utf-8", "[1]", 200, "[1]"),
        ("POST", "", "application/cloudevents+json", "3", 200, "3"),
        ("POST", "?q=1", JSON, "true", 200, "true"),
        ("DELETE", "", JSON, "\"x\"", 200, "\"x\""),
        ("POST", "", JSON, "{", 400, r#"{"message":"request body is not json"}"#),
        ("POST", "", JSON, "", 400, r#"{"message":"request body is not json"}"#),
        ("POST", "", JSON, "{}{}", 400, r#"{"message":"request body is not json"}"#),
        ("POST", "", FORM, "a=1&b=x+y%26&a=2&c", 200, r#"{"a":["1","2"],"b":"x y&","c":""}"#),
        ("POST", "", FORM, "", 200, "{}"),
        ("GET", "?a=1&b=%22&a=2", "", "", 200, r#"{"a":["1","2"],"b":"\""}"#),
        ("GET", "?a=1", JSON, "", 200, r#"{"a":"1"}"#),
        ("OPTIONS", "?a=1", "", "", 200, r#"{"a":"1"}"#),
        ("GET", "", "", "", 200, "{}"),
        ("POST", "", "", "", 200, "{}"),
        ("DELETE", "?a=1", "", "", 200, "{}"),
        ("POST", "", "", "plain \"text\"", 200, r#""plain \"text\"""#),
        (
            "POST",
            "",
            "text/plain; charset=utf-8",
            "x",
            415,
            r#"{"message":"request body type is not supported: text/plain"}"#,
        ),
        (
            "POST",
            "",
            "multipart/form-data; boundary=x",
            "x",
            415,
            r#"{"message":"request body type is not supported: multipart/form-data"}"#,
        ),
    ];
    for (method, query, kind, body, status, expected) in cases {
        let headers: &[_] = if kind.is_empty() { &[] } else { &[("content-type", kind)] };
        let path = format!("/dispatch/in{query}");
        let answer = server.send(method, &path, headers, body).await;
        let case = format!("{method} {query} {kind} {body}");
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, expected), "{case}");
        assert_eq!(answer.header("content-type"), JSON, "{case}");
    }
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/in", |_| ());
    let deep: &'static str = Box::leak("[".repeat(10_000).into_boxed_str());
    let answer = server.send("POST", "/dispatch/in", &[("content-type", JSON)], deep).await;
    assert_eq!(answer.status, 400);
    assert_eq!(server.world.engine.calls(), 0);
}

async fn context(server: &Server, request: &str) -> Value {
    let text = server.raw(request.as_bytes()).await;
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    serde_json::from_str::<Value>(body).unwrap()["httpContext"].take()
}

#[tokio::test]
async fn the_handler_sees_the_request() {
    let server = Server::new(TestEngine::new(|_, call| async { ok(call.context) })).await;
    server.api("/in/{id}/*", |_| ());
    let request = "PUT /dispatch/in/a%20b/c/d?x=1&y=%22 HTTP/1.1\r\nHost: h.example.org:80\r\n\
        X-Dispatch-Org: other\r\nX-Two: 1\r\nX-Two: a\"\\\t\r\nAuthorization: Bearer t\r\n\
        X-Params: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        context(&server, request).await,
        json!({
            "host": "h.example.org:80",
            "x-dispatch-org": "dispatch",
            "x-two": "1, a\"\\",
            "authorization": "Bearer t",
            "x-params": "1",
            "connection": "close",
            "content-length": "0",
            "args": "x=1&y=%22",
            "request": "PUT /dispatch/in/a%20b/c/d?x=1&y=%22 HTTP/1.1",
            "request-uri": "/dispatch/in/a%20b/c/d?x=1&y=%22",
            "scheme": "http",
            "server-protocol": "HTTP/1.1",
            "uri": "/dispatch/in/a%20b/c/d",
            "upstream-uri": "/in/a%20b/c/d",
            "method": "PUT",
            "params": {"id": "a b", "path": "c/d"},
        })
    );
}

/// A header may be called as what the gateway writes; the handler has to see the gateway's.
#[tokio::test]
async fn headers_do_not_forge_the_gateways_own_fields() {
    let server = Server::new(TestEngine::new(|_, call| async { ok(call.context) })).await;
    server.api("/in/{id}", |_| ());
    let request = "GET /dispatch/in/1 HTTP/1.1\r\nHost: h\r\nScheme: https\r\nMethod: DELETE\r\n\
        Params: 2\r\nUri: /x\r\nArgs: a\r\nConnection: close\r\n\r\n";
    let text = server.raw(request.as_bytes()).await;
    for (name, count) in [("scheme", 1), ("method", 1), ("params", 1), ("uri", 1), ("args", 1)] {
        assert_eq!(text.matches(&format!("\"{name}\":")).count(), count, "{name}: {text}");
    }
    assert!(text.contains(r#""scheme":"http""#) && text.contains(r#""method":"GET""#), "{text}");
}

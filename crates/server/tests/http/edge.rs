//! What all paths have in common: slashes, ids, limits, and what is not there.

use dispatch_testkit::{Options, Server, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn collections_answer_with_and_without_the_slash() {
    let server = Server::start().await;
    let shape = json!({"name": "s", "secrets": {}});
    server.post("/v1/secret/", shape).await.expect(201);
    for path in ["/v1/secret", "/v1/secret/", "/v1/secret/?limit=5"] {
        assert_eq!(server.get(path).await.expect(200).names(), ["s"], "{path}");
    }
}

#[tokio::test]
async fn the_request_id_is_kept_or_made() {
    let server = Server::start().await;
    let request = server.request(Method::GET, "/v1/secret/none").header("x-request-id", "abc-1");
    let answer = send(request).await.expect(404);
    assert_eq!(answer.header("x-request-id"), "abc-1");
    assert_eq!(answer.error().request_id.as_deref(), Some("abc-1"));

    let bad = "x".repeat(200);
    let request = server.request(Method::GET, "/v1/secret/none").header("x-request-id", &bad);
    let made = send(request).await.header("x-request-id").to_owned();
    assert!(made.len() == 36, "{made}");
}

#[tokio::test]
async fn what_is_not_there_is_json_too() {
    let server = Server::start().await;
    let error = server.get("/v1/nothing").await.expect(404).error();
    assert_eq!((error.code, error.request_id.is_some()), (404, true));
    server.get("/favicon.ico").await.expect(404).error();
    send(server.request(Method::PATCH, "/v1/secret")).await.expect(405).error();
    let missing = server.get("/v1/function/none").await.expect(404).error();
    assert_eq!(missing.message, "function none not found");
    server.get("/v1/function/..%2F..%2Fetc").await.expect(404).error();
    server.put("/v1/function/none", json!({"image": "i"})).await.expect(404);
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_naming_the_setting() {
    let settings = "[limits]\nmax_body_bytes = 1000\nmax_source_bytes = 100".to_owned();
    let server = Server::start_with(Options { settings }).await;
    let long = json!({"name": "s", "secrets": {"k": "v".repeat(1000)}});
    let error = server.post("/v1/secret", long).await.expect(413).error();
    assert!(error.message.contains("limits.max_body_bytes"), "{error:?}");
    let source = json!({"name": "f", "image": "i", "source": "A".repeat(136)});
    let error = server.post("/v1/function", source).await.expect(413).error();
    assert!(error.message.contains("limits.max_source_bytes"), "{error:?}");
    let fits = json!({"name": "f", "image": "i", "source": "A".repeat(132)});
    server.post("/v1/function", fits).await.expect(201);
}

#[tokio::test]
async fn deep_json_is_refused() {
    let server = Server::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!(r#"{{"name":"f","image":"i","source":"aGk=","schema":{{"in":{deep}}}}}"#);
    let request = server.request(Method::POST, "/v1/function").body(body);
    let error = send(request).await.expect(400).error();
    assert!(error.message.contains("recursion limit"), "{error:?}");
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    let page = server.get("/docs/").await.expect(200);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    let version = server.get("/v1/version").await.expect(200).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn engines_say_what_they_run() {
    let server = Server::start().await;
    let engines = server.get("/v1/engine").await.expect(200).json();
    let languages: Vec<&str> = engines
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|engine| engine["languages"].as_array().unwrap())
        .filter_map(|language| language.as_str())
        .collect();
    assert!(languages.contains(&"wasm"), "{engines}");
}

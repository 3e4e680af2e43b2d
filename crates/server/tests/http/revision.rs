//! Two clients at one thing: ETag, If-Match, If-None-Match.

use dispatch_testkit::{Server, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn the_slower_of_two_clients_is_told() {
    let server = Server::start().await;
    let shape = json!({"name": "s", "secrets": {"k": "0"}});
    let tag = server.post("/v1/secret", shape).await.header("etag").to_owned();
    let put = |value: &str| {
        let request = server.request(Method::PUT, "/v1/secret/s").header("if-match", &tag);
        send(request.json(&json!({"secrets": {"k": value}})))
    };
    let (a, b) = tokio::join!(put("a"), put("b"));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
    let (won, lost, value) = if a.status == 201 { (a, b, "a") } else { (b, a, "b") };
    let error = lost.error();
    assert_eq!(error.error_code.as_deref(), Some("API004"));
    assert!(error.message.contains("revision 2"), "{error:?}");
    let found = server.get("/v1/secret/s").await.expect(200);
    assert_eq!(found.json()["secrets"]["k"], value);
    assert_eq!(found.header("etag"), won.header("etag"));
}

#[tokio::test]
async fn deletes_and_gets_heed_the_revision() {
    let server = Server::start().await;
    server.post("/v1/secret", json!({"name": "s", "secrets": {}})).await.expect(201);
    let delete =
        |tag: &str| send(server.request(Method::DELETE, "/v1/secret/s").header("if-match", tag));
    delete("\"9\"").await.expect(412);
    delete("nonsense").await.expect(400);
    let get =
        |tag: &str| send(server.request(Method::GET, "/v1/secret/s").header("if-none-match", tag));
    let same = get("\"1\"").await.expect(304);
    assert_eq!((same.text.as_str(), same.header("etag")), ("", "\"1\""));
    get("\"2\"").await.expect(200);
    delete("\"1\"").await.expect(204);
}

#[tokio::test]
async fn changes_without_a_condition_all_succeed() {
    let server = Server::start().await;
    server.post("/v1/secret", json!({"name": "s", "secrets": {}})).await.expect(201);
    let puts = (0..8).map(|i| server.put("/v1/secret/s", json!({"secrets": {"k": i.to_string()}})));
    for answer in futures::future::join_all(puts).await {
        answer.expect(201);
    }
    assert_eq!(server.get("/v1/secret/s").await.json()["revision"], 9);
}

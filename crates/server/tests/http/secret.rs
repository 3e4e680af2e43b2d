//! Secrets: values go out only to one who asks for one.

use dispatch_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn values_are_shown_for_one_secret_only() {
    let server = Server::start().await;
    let shape = json!({"name": "db", "secrets": {"password": "hunter2"}});
    let created = server.post("/v1/secret", shape).await.expect(201);
    assert!(!created.text.contains("hunter2"), "{}", created.text);
    assert_eq!(created.json()["status"], "READY");
    let listed = server.get("/v1/secret").await.expect(200);
    assert!(!listed.text.contains("hunter2"), "{}", listed.text);
    let got = server.get("/v1/secret/db").await.expect(200).json();
    assert_eq!(got["secrets"]["password"], "hunter2");

    let changed = json!({"secrets": {"password": "hunter3"}});
    server.put("/v1/secret/db", changed).await.expect(201);
    let got = server.get("/v1/secret/db").await.expect(200).json();
    assert_eq!(
        (got["secrets"]["password"].as_str(), got["revision"].as_i64()),
        (Some("hunter3"), Some(2))
    );

    server.delete("/v1/secret/db").await.expect(204);
    server.get("/v1/secret/db").await.expect(404);
    server.delete("/v1/secret/db").await.expect(404);
}

#[tokio::test]
async fn values_are_not_readable_in_the_database() {
    let mut server = Server::start().await;
    let shape = json!({"name": "db", "secrets": {"password": "canary-7f3a"}});
    server.post("/v1/secret", shape).await.expect(201);
    server.stop().await;
    for entry in std::fs::read_dir(server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(11).any(|window| window == b"canary-7f3a");
            assert!(!found, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn values_have_limits() {
    let server = Server::start().await;
    let many: serde_json::Map<_, _> = (0..300).map(|i| (format!("k{i}"), json!("v"))).collect();
    let error = server.post("/v1/secret", json!({"name": "s", "secrets": many})).await;
    assert_eq!(error.expect(400).error().field.as_deref(), Some("secrets"));
    let long = json!({"name": "s", "secrets": {"k": "v".repeat(1 << 20)}});
    server.post("/v1/secret", long).await.expect(400);
    let number = json!({"name": "s", "secrets": {"k": 7}});
    let error = server.post("/v1/secret", number).await.expect(400).error();
    assert_eq!(error.field.as_deref(), Some("secrets.k"));
}

#[tokio::test]
async fn a_used_secret_is_deleted_with_a_warning() {
    let server = Server::start().await;
    server.post("/v1/secret", json!({"name": "s", "secrets": {}})).await.expect(201);
    let function = json!({"name": "f", "image": "i", "source": "aGk=", "secrets": ["s"]});
    server.post("/v1/function", function).await.expect(201);
    server.delete("/v1/secret/s?protect=true").await.expect(409);
    let deleted = server.delete("/v1/secret/s").await.expect(204);
    assert!(deleted.header("warning").contains("function f"), "{deleted:?}");
}

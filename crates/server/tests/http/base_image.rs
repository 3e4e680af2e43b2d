//! Base images and applications: the plain nouns.

use dispatch_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn a_base_image_lives_its_life() {
    let server = Server::start().await;
    let shape = json!({"name": "py", "dockerUrl": "host:wasm", "language": "wasm"});
    let created = server.post("/v1/baseimage", shape.clone()).await.expect(201);
    let body = created.json();
    assert_eq!((body["kind"].as_str(), body["revision"].as_i64()), (Some("BaseImage"), Some(1)));
    assert_eq!(created.header("etag"), "\"1\"");
    assert!(body["createdTime"].as_i64() > Some(1_600_000_000));
    server.wait_for("/v1/baseimage/py", "READY").await;

    let again = server.post("/v1/baseimage", shape).await.expect(409).error();
    assert_eq!(again.error_code.as_deref(), Some("API003"));
    assert_eq!(again.message, "base image py already exists");

    let tagged = json!({"dockerUrl": "host:wasm", "language": "wasm",
        "tags": [{"key": "team", "value": "a"}]});
    server.put("/v1/baseimage/py", tagged).await.expect(200);
    let found = server.wait_for("/v1/baseimage/py", "READY").await;
    assert_eq!(found["tags"][0]["key"], "team");

    let deleted = server.delete("/v1/baseimage/py").await.expect(200).json();
    assert_eq!(deleted["status"], "DELETING");
    server.wait_gone("/v1/baseimage/py").await;
    server.delete("/v1/baseimage/py").await.expect(404);
}

#[tokio::test]
async fn what_cannot_work_is_an_error_that_says_why() {
    let server = Server::start().await;
    let cobol = json!({"name": "cobol", "dockerUrl": "host:cobol", "language": "cobol"});
    server.post("/v1/baseimage", cobol).await.expect(201);
    let found = server.wait_for("/v1/baseimage/cobol", "ERROR").await;
    let reason = found["reason"][0].as_str().unwrap();
    assert!(reason.starts_with("ENGINE001") && reason.contains("wasm"), "{reason}");

    let other = json!({"name": "mixed", "dockerUrl": "host:nodejs", "language": "wasm"});
    server.post("/v1/baseimage", other).await.expect(201);
    server.wait_for("/v1/baseimage/mixed", "ERROR").await;

    // Nothing listens there.
    let pulled = json!({"name": "old", "dockerUrl": "127.0.0.1:1/python3-base:0.0.13",
        "language": "python3"});
    server.post("/v1/baseimage", pulled).await.expect(201);
    let found = server.wait_for("/v1/baseimage/old", "ERROR").await;
    assert!(found["reason"][0].as_str().unwrap().contains("cannot be reached"), "{found}");
}

#[tokio::test]
async fn bad_shapes_name_the_field_and_store_nothing() {
    let server = Server::start().await;
    let cases = [
        (json!({"name": "a b", "dockerUrl": "x", "language": "y"}), "name"),
        (json!({"dockerUrl": "x", "language": "y"}), "name"),
        (json!({"name": "a", "language": "y"}), "dockerUrl"),
        (json!({"name": "a", "dockerUrl": "x"}), "language"),
        (json!({"name": "a", "dockerUrl": 7, "language": "y"}), "dockerUrl"),
        (json!({"name": "a", "dockerUrl": "x", "language": "y", "colour": "red"}), "colour"),
        (
            json!({"name": "a", "dockerUrl": "x", "language": "y", "tags": [{"key": ""}]}),
            "tags[0].key",
        ),
        (json!({"name": "x".repeat(200), "dockerUrl": "x", "language": "y"}), "name"),
    ];
    for (shape, field) in cases {
        let error = server.post("/v1/baseimage", shape.clone()).await.expect(400).error();
        let named = error.field.as_deref() == Some(field) || error.message.contains(field);
        assert!(named, "{shape}: {error:?}");
    }
    assert!(server.get("/v1/baseimage").await.expect(200).names().is_empty());
}

#[tokio::test]
async fn applications_group_by_tag() {
    let server = Server::start().await;
    server.post("/v1/application", json!({"name": "shop"})).await.expect(200);
    server.wait_for("/v1/application/shop", "READY").await;
    for (name, app) in [("a", "shop"), ("b", "other")] {
        let tags = json!([{"key": "Application", "value": app}]);
        let shape = json!({"name": name, "secrets": {"k": "v"}, "tags": tags});
        server.post("/v1/secret", shape).await.expect(201);
    }
    let listed = server.get("/v1/secret?tags=Application=shop").await.expect(200);
    assert_eq!(listed.names(), ["a"]);
    server.get("/v1/secret/b?tags=Application=shop").await.expect(404);
    server.delete("/v1/application/shop").await.expect(200);
    server.wait_gone("/v1/application/shop").await;
}

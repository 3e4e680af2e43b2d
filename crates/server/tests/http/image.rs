//! Images, and how they follow their base image.

use dispatch_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn an_image_needs_a_base_image_and_copies_its_language() {
    let server = Server::start().await;
    let shape = json!({"name": "python", "baseImageName": "none"});
    let error = server.post("/v1/image", shape).await.expect(400).error();
    assert_eq!(error.field.as_deref(), Some("baseImageName"));
    server.image("wasm").await;
    let image = server.get("/v1/image/wasm").await.expect(200).json();
    assert_eq!(
        (image["language"].as_str(), image["dockerUrl"].as_str()),
        (Some("wasm"), Some("host:wasm"))
    );
    assert_eq!(server.get("/v1/image?language=wasm").await.names(), ["wasm"]);
    assert!(server.get("/v1/image?language=java").await.names().is_empty());
}

#[tokio::test]
async fn an_image_waits_for_its_base_image_and_follows_it() {
    let server = Server::start().await;
    let base = json!({"name": "b", "dockerUrl": "host:cobol", "language": "cobol"});
    server.post("/v1/baseimage", base).await.expect(201);
    server.post("/v1/image", json!({"name": "i", "baseImageName": "b"})).await.expect(201);
    let image = server.wait_for("/v1/image/i", "ERROR").await;
    let reason = image["reason"][0].as_str().unwrap();
    assert!(reason.starts_with("base image b is in ERROR"), "{reason}");

    let good = json!({"dockerUrl": "host:wasm", "language": "wasm"});
    server.put("/v1/baseimage/b", good).await.expect(200);
    let image = server.wait_for("/v1/image/i", "READY").await;
    assert_eq!(image["language"], "wasm");
}

#[tokio::test]
async fn deleting_a_used_base_image_warns_and_can_be_refused() {
    let server = Server::start().await;
    server.image("wasm").await;
    let refused = server.delete("/v1/baseimage/wasm-base?protect=true").await.expect(409);
    assert_eq!(refused.error().error_code.as_deref(), Some("API005"));
    let deleted = server.delete("/v1/baseimage/wasm-base").await.expect(200);
    let warning = "299 - \"base image wasm-base is used by image wasm\"";
    assert_eq!(deleted.header("warning"), warning);
    assert!(deleted.json()["reason"][0].as_str().unwrap().contains("image wasm"));
    server.wait_gone("/v1/baseimage/wasm-base").await;
    server.wait_for("/v1/image/wasm", "READY").await;
}

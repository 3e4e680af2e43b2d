//! A second start finds everything.

use dispatch_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut server = Server::start().await;
    server.image("wasm").await;
    server.post("/v1/secret", json!({"name": "s", "secrets": {"k": "v"}})).await.expect(201);
    server.post("/v1/application", json!({"name": "a"})).await.expect(200);
    server.restart().await;
    let secret = server.get("/v1/secret/s").await.expect(200).json();
    assert_eq!(secret["secrets"]["k"], "v");
    server.get("/v1/image/wasm").await.expect(200);
    server.wait_for("/v1/application/a", "READY").await;
}

#[tokio::test]
async fn two_servers_do_not_share_a_directory() {
    let server = Server::start().await;
    let mut layers = dispatch_server::config::Layers::default();
    layers.text("server", "data_dir", &server.data_dir().display().to_string()).unwrap();
    layers.text("api", "listen", "127.0.0.1:0").unwrap();
    let config = layers.config().unwrap();
    let error = dispatch_server::boot::check(&config).await.unwrap_err().to_string();
    assert!(error.contains("another dispatch-server"), "{error}");
}

#[tokio::test]
async fn an_open_address_needs_somebody_who_can_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut layers = dispatch_server::config::Layers::default();
    layers.text("server", "data_dir", &dir.path().display().to_string()).unwrap();
    for (section, key) in [("api", "listen"), ("gateway", "http"), ("gateway", "https")] {
        layers.text(section, key, "0.0.0.0:0").unwrap();
    }
    let started = dispatch_server::boot::start(layers.clone().config().unwrap()).await;
    let error = started.err().expect("nobody could sign in").to_string();
    assert!(error.contains("bootstrap.user"), "{error}");
    // Somebody who can sign in may do nothing as long as there is no policy: the start says so.
    layers.text("bootstrap", "user", "boot").unwrap();
    layers.text("bootstrap", "public_key", &crate::iam::public_key()).unwrap();
    let running = dispatch_server::boot::start(layers.config().unwrap()).await.unwrap();
    let notes = running.notes().join("\n");
    assert!(notes.contains("nothing yet; `dispatch manage bootstrap` makes the first"), "{notes}");
    running.stop().await;
}

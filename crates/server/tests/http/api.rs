//! APIs: the REST side of the gateway's routes.

use dispatch_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn an_api_lives_its_life() {
    let server = Server::start().await;
    let shape = json!({"name": "hello", "function": "f", "uris": ["/hello"], "methods": ["get"]});
    let created = server.post("/v1/api", shape).await.expect(200).json();
    assert_eq!((created["kind"].as_str(), created["enabled"].as_bool()), (Some("API"), Some(true)));
    let found = server.wait_for("/v1/api/hello", "READY").await;
    assert_eq!(found["methods"][0], "GET");
    assert_eq!(server.get("/v1/api?function=f").await.names(), ["hello"]);
    assert!(server.get("/v1/api?function=g").await.names().is_empty());
    server.delete("/v1/api/hello").await.expect(200);
    server.wait_gone("/v1/api/hello").await;
}

#[tokio::test]
async fn a_route_belongs_to_one_api() {
    let server = Server::start().await;
    let shape = |name: &str| json!({"name": name, "function": "f", "uris": ["/x"]});
    server.post("/v1/api", shape("first")).await.expect(200);
    server.wait_for("/v1/api/first", "READY").await;
    server.post("/v1/api", shape("second")).await.expect(200);
    server.wait_for("/v1/api/second", "ERROR").await;
    server.delete("/v1/api/first").await.expect(200);
    server.wait_for("/v1/api/second", "READY").await;
}

#[tokio::test]
async fn a_certificate_that_is_missing_is_waited_for() {
    let server = Server::start().await;
    let shape = json!({"name": "a", "function": "f", "hosts": ["a.example.org"], "tls": "cert"});
    server.post("/v1/api", shape).await.expect(200);
    let found = server.wait_for("/v1/api/a", "ERROR").await;
    assert!(found["reason"][0].as_str().unwrap().contains("SECRET001"), "{found}");
    let bad = json!({"name": "cert", "secrets": {"tls.crt": "x", "tls.key": "y"}});
    server.post("/v1/secret", bad).await.expect(201);
    let key = rcgen::generate_simple_self_signed(vec!["a.example.org".to_owned()]).unwrap();
    let (certificate, key) = (key.cert.pem(), key.signing_key.serialize_pem());
    let good = json!({"secrets": {"tls.crt": certificate, "tls.key": key}});
    server.put("/v1/secret/cert", good).await.expect(201);
    server.wait_for("/v1/api/a", "READY").await;
}

#[tokio::test]
async fn bad_routes_are_refused() {
    let server = Server::start().await;
    let cases = [
        (json!({"name": "a"}), "function"),
        (json!({"name": "a", "function": "f", "uris": ["no-slash"]}), "uris"),
        (json!({"name": "a", "function": "f", "methods": ["FETCH"]}), "methods"),
        (json!({"name": "a", "function": "f", "hosts": ["a b"]}), "hosts"),
        (json!({"name": "a", "function": "f", "protocols": ["ftp"]}), "protocols"),
        (json!({"name": "a", "function": "f", "authentication": "magic"}), "authentication"),
    ];
    for (shape, field) in cases {
        let error = server.post("/v1/api", shape).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(field), "{error:?}");
    }
}

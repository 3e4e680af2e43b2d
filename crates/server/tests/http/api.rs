//! APIs: the REST side of the gateway's routes.

use base64::Engine as _;
use dispatch_testkit::{Database, Options, Server, eventually, send};
use reqwest::Method;
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

/// Which of two APIs the gateway serves at `/x`: neither has a function, and the answer names it.
async fn served(server: &Server) -> String {
    let answer = send(server.gateway(Method::GET, "/dispatch/x")).await.expect(404);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    message.trim_start_matches("function ").trim_end_matches(" not found").to_owned()
}

#[tokio::test]
async fn a_route_is_the_older_apis_and_its_end_hands_it_over() {
    let mut server = Server::start().await;
    // In the order of names, in which a start reads them, the younger comes first.
    let shape = |name: &str, uris: &[&str]| json!({"name": name, "function": name, "uris": uris});
    server.post("/v1/api", shape("z-older", &["/x"])).await.expect(200);
    server.wait_for("/v1/api/z-older", "READY").await;
    server.post("/v1/api", shape("a-younger", &["/y", "/x"])).await.expect(200);
    let refused = server.wait_for("/v1/api/a-younger", "ERROR").await;
    let reason = refused["reason"][0].as_str().unwrap();
    assert!(reason.starts_with("uris: \"/x\"") && reason.contains("api z-older"), "{reason}");
    assert_eq!(served(&server).await, "z-older");

    server.restart().await;
    assert_eq!(served(&server).await, "z-older");
    assert_eq!(server.get("/v1/api/a-younger").await.json()["status"], "ERROR");

    server.delete("/v1/api/z-older").await.expect(200);
    server.wait_gone("/v1/api/z-older").await;
    assert_eq!(served(&server).await, "a-younger");
    let ready = server.wait_for("/v1/api/a-younger", "READY").await;
    assert!(ready.get("reason").is_none(), "{ready}");
}

#[tokio::test]
async fn an_older_api_that_comes_to_want_a_route_takes_it() {
    let server = Server::start().await;
    let older = json!({"name": "older", "function": "older", "uris": ["/x"], "enabled": false});
    server.post("/v1/api", older).await.expect(200);
    server.wait_for("/v1/api/older", "READY").await;
    let younger = json!({"name": "younger", "function": "younger", "uris": ["/x"]});
    server.post("/v1/api", younger.clone()).await.expect(200);
    server.wait_for("/v1/api/younger", "READY").await;
    assert_eq!(served(&server).await, "younger");

    let enabled = json!({"function": "older", "uris": ["/x"]});
    server.put("/v1/api/older", enabled).await.expect(200);
    server.wait_for("/v1/api/younger", "ERROR").await;
    assert_eq!(served(&server).await, "older");
    server.put("/v1/api/older", json!({"function": "older", "uris": ["/z"]})).await.expect(200);
    server.wait_for("/v1/api/younger", "READY").await;
    assert_eq!(served(&server).await, "younger");

    // Made anew it is the younger.
    server.delete("/v1/api/older").await.expect(200);
    let again = json!({"name": "older", "function": "older", "uris": ["/x"]});
    server.post("/v1/api", again).await.expect(200);
    server.wait_for("/v1/api/older", "ERROR").await;
    assert_eq!(served(&server).await, "younger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_share_a_database_serve_the_same() {
    let Some(database) = Database::postgres().await else { return };
    // Servers that share a database share the root key of its secrets.
    let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let options = Options { settings: format!("[seal]\nroot_key = \"{key}\"") };
    let one = Server::start_on(database.clone(), options.clone()).await;
    let two = Server::start_on(database.clone(), options.clone()).await;
    let shape = |name: &str| json!({"name": name, "function": name, "uris": ["/x"]});
    one.post("/v1/api", shape("older")).await.expect(200);
    two.post("/v1/api", shape("younger")).await.expect(200);
    let agree = async |servers: &[&Server], name: &str| {
        for server in servers {
            eventually(&format!("{name} is served"), async || {
                let found = served(server).await;
                (found == name).then_some(()).ok_or(found)
            })
            .await;
        }
    };
    for server in [&one, &two] {
        let refused = server.wait_for("/v1/api/younger", "ERROR").await;
        assert!(refused["reason"][0].as_str().unwrap().contains("api older"), "{refused}");
        server.wait_for("/v1/api/older", "READY").await;
    }
    agree(&[&one, &two], "older").await;
    let late = Server::start_on(database, options).await;
    agree(&[&late], "older").await;
    two.delete("/v1/api/older").await.expect(200);
    agree(&[&one, &two, &late], "younger").await;
    two.wait_for("/v1/api/younger", "READY").await;
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

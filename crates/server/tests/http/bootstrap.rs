//! The one-time credential of a new installation.

use std::path::Path;

use dispatch_store::AuditQuery;
use dispatch_testkit::{Answer, Options, Server, send};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{PRIVATE, public_key};

const PATH: &str = "/v1/iam/bootstrap";

async fn server(more: &str) -> Server {
    let settings = format!("[auth]\nmode = \"required\"\n[bootstrap]\n{more}");
    Server::start_with(Options { settings }).await
}

fn credential(server: &Server) -> String {
    server.running().credential.as_ref().expect("a new installation has one").text.clone()
}

async fn claim(server: &Server, credential: &str) -> Answer {
    let body = json!({"publicKey": public_key()});
    send(server.request(Method::POST, PATH).bearer_auth(credential).json(&body)).await
}

/// A call of the bootstrap user.
async fn call(server: &Server, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let key = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap();
    let exp = jsonwebtoken::get_current_timestamp() + 60;
    let claims = json!({"iss": "bootstrap", "exp": exp, "aud": "dispatch"});
    let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
    let mut request = server.request(method, path).bearer_auth(token);
    if let Some(body) = body {
        request = request.json(body);
    }
    send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_good_once_and_for_iam_only() {
    let mut server = server("").await;
    let text = credential(&server);
    assert!(text.starts_with("dispatch_bootstrap_"), "{text}");
    // It signs nobody in by itself.
    let request = server.request(Method::GET, "/v1/iam/policy").bearer_auth(&text);
    send(request).await.expect(401);
    claim(&server, "dispatch_bootstrap_wrong").await.expect(401);
    send(server.request(Method::POST, PATH).json(&json!({"publicKey": public_key()})))
        .await
        .expect(401);
    let bad = json!({"publicKey": "bm8="});
    let refused = send(server.request(Method::POST, PATH).bearer_auth(&text).json(&bad)).await;
    assert_eq!(refused.expect(400).json()["field"], "publicKey");
    // Of several who have it at the same time, one is first.
    let several = futures::future::join_all((0..8).map(|_| claim(&server, &text))).await;
    let won: Vec<_> = several.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1, "{several:?}");
    assert_eq!(won[0].json()["issuer"], "bootstrap");
    claim(&server, &text).await.expect(401);
    let query = AuditQuery { action: Some("claim".to_owned()), limit: 9, ..AuditQuery::default() };
    let told = server.running().app.store.audit_list(&query).await.unwrap();
    assert_eq!(told.len(), 1, "the one that won is told of: {told:?}");
    assert!(told[0].from.is_some() && !format!("{told:?}").contains(&text));
    call(&server, Method::GET, "/v1/iam/policy", None).await.expect(200);
    call(&server, Method::GET, "/v1/function", None).await.expect(403);
    // A start in between ends nothing.
    server.restart().await;
    assert!(server.running().credential.is_none());
    call(&server, Method::GET, "/v1/iam/policy", None).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_start_makes_another_until_one_was_used() {
    let mut server = server("").await;
    let first = credential(&server);
    server.restart().await;
    claim(&server, &first).await.expect(401);
    claim(&server, &credential(&server)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_the_first_policy_and_by_hand() {
    let mut server = server("").await;
    claim(&server, &credential(&server)).await.expect(201);
    let rule = json!({"subjects": ["ci"], "actions": ["*"], "resources": ["*"]});
    let policy = json!({"name": "p", "rules": [rule]});
    call(&server, Method::POST, "/v1/iam/policy", Some(&policy)).await.expect(201);
    let account = json!({"name": "ci", "publicKey": public_key()});
    call(&server, Method::POST, "/v1/iam/serviceaccount", Some(&account)).await.expect(201);
    // What is under way goes on over a restart; a new credential there is not.
    server.restart().await;
    assert!(server.running().credential.is_none());
    call(&server, Method::GET, "/v1/iam/policy", None).await.expect(200);
    call(&server, Method::DELETE, PATH, None).await.expect(204);
    call(&server, Method::GET, "/v1/iam/policy", None).await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_expires() {
    let server = server("credential_lifetime_s = 0\n").await;
    claim(&server, &credential(&server)).await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_be_given_and_is_never_stored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credential");
    let given = "canary-0123456789-0123456789-0123456789";
    std::fs::write(&file, format!("{given}\n")).unwrap();
    let server = server(&format!("credential_file = {:?}\n", file.display().to_string())).await;
    assert_eq!(credential(&server), given);
    claim(&server, given).await.expect(201);
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(given.len()).any(|window| window == given.as_bytes())
    };
    for entry in std::fs::read_dir(server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert!(!holds(&path), "{} holds it", path.display());
    }
}

//! Rights that end: open streams end with them, and what was configured once is never open again.

use std::time::Duration;

use dispatch_testkit::{Options, Server, send};
use futures::StreamExt as _;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::iam::{BOOT, Iam, public_key, rule, token};

/// Opens a stream of acme/one and reads its first event.
async fn open(iam: &Iam, path: &str) -> (Response, String) {
    let mut response = iam.request("acme/one", Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let first = tokio::time::timeout(Duration::from_secs(20), response.chunk()).await;
    let first = first.expect("it begins").unwrap().unwrap();
    (response, String::from_utf8(first.to_vec()).unwrap())
}

/// The rest of a stream, which has to end.
async fn rest(response: Response) -> String {
    let chunks = response.bytes_stream().map(|chunk| chunk.unwrap().to_vec());
    let rest = tokio::time::timeout(Duration::from_secs(30), chunks.collect::<Vec<_>>()).await;
    String::from_utf8(rest.expect("the stream ends").concat()).unwrap()
}

/// The error a stream ended with.
fn error(text: &str) -> Value {
    let (_, event) = text.split_once("event: error\n").unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(event.strip_prefix("data: ").unwrap().lines().next().unwrap()).unwrap()
}

async fn reader(iam: &Iam, resources: &[&str]) {
    iam.policy("acme", "one", false, json!([rule("one", &["get"], resources)])).await;
    let secret = json!({"name": "s", "secrets": {"k": "v"}});
    iam.call("acme/admin", None, Method::POST, "/v1/secret", &secret).await;
}

#[tokio::test]
async fn a_watch_ends_when_its_right_does() {
    let iam = Iam::start().await;
    reader(&iam, &["secret", "runs"]).await;
    let (watch, first) = open(&iam, "/v1/secret?watch=true").await;
    assert!(first.contains("ADDED"), "{first}");
    let follow = iam.request("acme/one", Method::GET, "/v1/runs?watch=true").send().await.unwrap();
    let (other, _) = open(&iam, "/v1/secret?watch=true&name=s").await;

    // A change that leaves the right as it was ends nothing.
    reader(&iam, &["secret", "runs", "api"]).await;
    let more = json!({"name": "t", "secrets": {}});
    iam.call("acme/admin", None, Method::POST, "/v1/secret", &more).await.expect(201);
    iam.policy("acme", "one", false, json!([rule("one", &["get"], &["runs"])])).await;
    let later = json!({"name": "u", "secrets": {}});
    iam.call("acme/admin", None, Method::POST, "/v1/secret", &later).await.expect(201);
    let text = rest(watch).await;
    assert!(text.contains("\"t\"") && !text.contains("\"u\""), "{text}");
    let error = error(&text);
    assert_eq!((&error["code"], &error["errorCode"]), (&json!(403), &json!("IAM002")), "{error}");
    rest(other).await;

    let path = "/v1/iam/policy/one";
    iam.call(BOOT, Some("acme"), Method::DELETE, path, &Value::Null).await.expect(200);
    let text = rest(follow).await;
    assert_eq!(self::error(&text)["errorCode"], "IAM002", "{text}");
}

#[tokio::test]
async fn a_watch_ends_with_its_account_or_its_key() {
    let iam = Iam::start().await;
    reader(&iam, &["secret"]).await;
    let path = "/v1/iam/serviceaccount/one";
    let other = rsa_key();
    let changes = [
        (Method::PUT, json!({"publicKey": other})),
        (Method::PUT, json!({"publicKey": public_key()})),
        (Method::DELETE, Value::Null),
    ];
    for (method, body) in changes {
        let restored = body["publicKey"] == public_key();
        if restored {
            iam.call(BOOT, Some("acme"), method, path, &body).await.expect(200);
            continue;
        }
        let (watch, _) = open(&iam, "/v1/secret?watch=true").await;
        iam.call(BOOT, Some("acme"), method, path, &body).await.expect(200);
        let text = rest(watch).await;
        assert_eq!(error(&text)["errorCode"], "IAM001", "{text}");
    }
}

/// A public key that nobody here has the private one of.
pub fn rsa_key() -> String {
    use base64::Engine as _;
    let pem = include_str!("other.pem");
    base64::engine::general_purpose::STANDARD.encode(pem)
}

#[tokio::test]
async fn a_watch_ends_with_its_token() {
    let iam = Iam::start().await;
    reader(&iam, &["secret"]).await;
    // Clocks may differ by a minute, so this token lives a second or two more.
    let short = token("acme/one", -58);
    let request = iam.server.request(Method::GET, "/v1/secret?watch=true").bearer_auth(short);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let text = rest(response).await;
    assert_eq!(error(&text)["message"], "the token has expired", "{text}");
}

#[tokio::test]
async fn local_mode_does_not_come_back_with_the_end_of_the_last_policy() {
    let settings = format!("[bootstrap]\nuser = \"{BOOT}\"\npublic_key = \"{}\"\n", public_key());
    let mut server = Server::start_with(Options { settings }).await;
    let account = json!({"name": "ci", "publicKey": public_key()});
    server.post("/v1/iam/serviceaccount", account).await.expect(201);
    let watch = server.request(Method::GET, "/v1/secret?watch=true").send().await.unwrap();
    let policy = json!({"name": "p", "rules": [rule("ci", &["*"], &["*"])]});
    server.post("/v1/iam/policy", policy.clone()).await.expect(201);
    let text = rest(watch).await;
    assert_eq!(error(&text)["code"], 401, "the local administrator's streams end too");
    server.get("/v1/secret").await.expect(401);

    let request = |issuer: &str, method: Method, path: &str| {
        server.request(method, path).bearer_auth(token(issuer, 600))
    };
    send(request("dispatch/ci", Method::GET, "/v1/secret")).await.expect(200);
    send(request("dispatch/ci", Method::DELETE, "/v1/iam/policy/p")).await.expect(200);
    send(request("dispatch/ci", Method::GET, "/v1/secret")).await.expect(403);
    server.get("/v1/secret").await.expect(401);
    server.restart().await;
    assert_eq!(server.get("/v1/secret").await.expect(401).error().error_code.unwrap(), "IAM001");

    // The way back in: the bootstrap user of the server's configuration.
    let make = server.request(Method::POST, "/v1/iam/policy").bearer_auth(token(BOOT, 600));
    send(make.json(&policy)).await.expect(201);
    let get = server.request(Method::GET, "/v1/secret").bearer_auth(token("dispatch/ci", 600));
    send(get).await.expect(200);
}

#[tokio::test]
async fn what_functions_left_behind_goes_with_the_organization() {
    let iam = Iam::start().await;
    let made = json!({"name": "gone"});
    let path = "/v1/iam/organization";
    iam.call(BOOT, None, Method::POST, path, &made).await.expect(201);
    let inside = json!({"name": "app"});
    let create = iam.call("acme/admin", Some("gone"), Method::POST, "/v1/application", &inside);
    create.await.expect(200);
    let path = "/v1/iam/organization/gone";
    iam.call(BOOT, None, Method::DELETE, path, &Value::Null).await.expect(409);
    let gone = "/v1/application/app";
    iam.call("acme/admin", Some("gone"), Method::DELETE, gone, &Value::Null).await.expect(200);
    dispatch_testkit::eventually("it can be deleted", async || {
        let answer = iam.call(BOOT, None, Method::DELETE, path, &Value::Null).await;
        (answer.status == 200).then_some(()).ok_or(answer.text)
    })
    .await;
    iam.call("acme/admin", Some("gone"), Method::GET, gone, &Value::Null).await.expect(403);
    iam.call("acme/admin", Some("gone"), Method::POST, "/v1/application", &inside)
        .await
        .expect(403);
}

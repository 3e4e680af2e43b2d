//! Every documented operation of the API × who may not call it: one that forgets to authorise
//! fails here. Routes outside the document (health, metrics) are not walked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_testkit::{Answer, Options, Server, send};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

const PRIVATE: &str = include_str!("../../src/authn/tests/private.pem");
const PUBLIC: &str = include_str!("../../src/authn/tests/public.pem");

/// Operations anybody may call.
const OPEN: &[&str] = &["/v1/version"];
/// Operations that everybody who is signed in may call: they answer about the caller only.
const SIGNED_IN: &[&str] = &["/v1/iam/auth"];

fn token(issuer: &str) -> String {
    let key = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap();
    let now = jsonwebtoken::get_current_timestamp();
    let claims = json!({"iss": issuer, "iat": now, "exp": now + 600});
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

/// A body that the operation would take, so that only the caller can be what is wrong.
fn body(path: &str) -> Value {
    match path.split('/').nth(if path.starts_with("/v1/iam") { 3 } else { 2 }).unwrap() {
        "baseimage" => json!({"name": "x", "dockerUrl": "host:wasm", "language": "wasm"}),
        "image" => json!({"name": "x", "baseImageName": "x"}),
        "function" => json!({"name": "x", "image": "x", "source": "YQ=="}),
        "secret" => json!({"name": "x", "secrets": {"k": "v"}}),
        "api" => json!({"name": "x", "function": "x"}),
        "runs" => json!({"functionName": "x", "input": {}}),
        "serviceaccount" => json!({"name": "x", "publicKey": STANDARD.encode(PUBLIC)}),
        "policy" => {
            let rule = json!({"subjects": ["x"], "actions": ["get"], "resources": ["function"]});
            json!({"name": "x", "rules": [rule]})
        }
        _ => json!({"name": "x"}),
    }
}

struct Fixture {
    server: Server,
}

impl Fixture {
    async fn start() -> Self {
        let settings = format!(
            "[auth]\nmode = \"required\"\n[bootstrap]\nuser = \"boot\"\npublic_key = \"{}\"\n",
            STANDARD.encode(PUBLIC)
        );
        let server = Server::start_with(Options { settings }).await;
        let fixture = Self { server };
        for org in ["acme", "other"] {
            let made = json!({"name": org});
            fixture.call("boot", None, Method::POST, "/v1/iam/organization", &made).await;
        }
        for (org, name) in [("acme", "full"), ("acme", "small"), ("other", "eve")] {
            let account = json!({"name": name, "publicKey": STANDARD.encode(PUBLIC)});
            let path = "/v1/iam/serviceaccount";
            fixture.call("boot", Some(org), Method::POST, path, &account).await.expect(201);
        }
        let policy = |name: &str, subject: &str, resource: &str, global: bool| {
            let rule = json!({"subjects": [subject], "actions": ["*"], "resources": [resource]});
            json!({"name": name, "global": global, "rules": [rule]})
        };
        for (org, policy) in [
            ("acme", policy("everything", "full", "*", true)),
            ("acme", policy("little", "small", "serviceclass", false)),
            ("other", policy("own", "eve", "*", false)),
        ] {
            let path = "/v1/iam/policy";
            fixture.call("boot", Some(org), Method::POST, path, &policy).await.expect(201);
        }
        fixture
    }

    async fn call(
        &self,
        issuer: &str,
        org: Option<&str>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let mut request = self.server.request(method.clone(), path);
        if !issuer.is_empty() {
            request = request.bearer_auth(token(issuer));
        }
        if let Some(org) = org {
            request = request.header("x-dispatch-org", org);
        }
        if matches!(method, Method::POST | Method::PUT) {
            request = request.json(body);
        }
        send(request).await
    }
}

fn operations() -> Vec<(Method, String)> {
    let document = dispatch_server::http::openapi::document_text();
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "delete", "patch"] {
            if item.get(method).is_some() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(found.len() > 40, "the document lost operations: {}", found.len());
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_refuses_who_may_not() {
    let fixture = Fixture::start().await;
    let mut wrong = Vec::new();
    for (method, template) in operations() {
        if OPEN.contains(&template.as_str()) {
            continue;
        }
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let path = template.replace("{name}", "nothing").replace("{id}", id);
        assert!(!path.contains('{'), "unknown parameter in {template}");
        let mut body = body(&path);
        if method == Method::PUT {
            body.as_object_mut().unwrap().remove("name");
        }
        let mut check = |who: &str, status: u16, right: bool| {
            if !right {
                wrong.push(format!("{method} {template} as {who}: {status}"));
            }
        };
        let answer = fixture.call("", Some("acme"), method.clone(), &path, &body).await;
        check("nobody", answer.status, answer.status == 401);
        if !SIGNED_IN.contains(&template.as_str()) {
            for who in ["other/eve", "acme/small"] {
                let answer = fixture.call(who, Some("acme"), method.clone(), &path, &body).await;
                check(who, answer.status, answer.status == 403);
            }
        }
        let answer = fixture.call("acme/full", Some("acme"), method.clone(), &path, &body).await;
        check("full", answer.status, !matches!(answer.status, 401 | 403 | 500..));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_administrator_of_one_organization_cannot_become_one_of_all() {
    let fixture = Fixture::start().await;
    let rule = json!({"subjects": ["eve"], "actions": ["*"], "resources": ["*"]});
    let policy = json!({"name": "mine", "global": true, "rules": [rule]});
    let path = "/v1/iam/policy";
    fixture.call("other/eve", None, Method::POST, path, &policy).await.expect(403);
    let local = json!({"name": "mine", "rules": [rule]});
    fixture.call("other/eve", None, Method::POST, path, &local).await.expect(201);
    let path = "/v1/iam/policy/mine";
    fixture.call("other/eve", None, Method::PUT, path, &policy).await.expect(403);
    let org = json!({"name": "third"});
    let path = "/v1/iam/organization";
    fixture.call("other/eve", None, Method::POST, path, &org).await.expect(403);
    let seen = fixture.call("other/eve", None, Method::GET, path, &Value::Null).await;
    assert_eq!(seen.expect(200).names(), ["other"]);
}

#[tokio::test]
async fn a_thing_of_another_organization_is_not_there() {
    let fixture = Fixture::start().await;
    let application = json!({"name": "app"});
    let path = "/v1/application";
    fixture.call("acme/full", None, Method::POST, path, &application).await.expect(200);
    let path = "/v1/application/app";
    let none = Value::Null;
    fixture.call("acme/full", None, Method::GET, path, &none).await.expect(200);
    fixture.call("other/eve", None, Method::GET, path, &none).await.expect(404);
    fixture.call("other/eve", None, Method::DELETE, path, &none).await.expect(404);
}

#[tokio::test]
async fn an_organization_with_things_in_it_stays() {
    let fixture = Fixture::start().await;
    let path = "/v1/iam/organization/other";
    let refused = fixture.call("boot", None, Method::DELETE, path, &Value::Null).await;
    let message = refused.expect(409).error().message;
    assert!(message.contains("service account"), "{message}");
}

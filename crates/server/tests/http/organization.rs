//! Organizations deleted whole: everything in one goes, and nothing of it comes back.

use dispatch_testkit::{Database, Process, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{BOOT, Iam};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");

fn source() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(ECHO)
}

/// Every kind of thing there is, by its noun.
fn things() -> Vec<(&'static str, Value)> {
    let permissions = json!([{"actions": ["get"], "resources": ["function"]}]);
    let rules = json!([{"name": "r", "effect": "deny", "match": {"package": "x"}}]);
    vec![
        ("secret", json!({"name": "s", "secrets": {"k": "v"}})),
        ("application", json!({"name": "shop"})),
        ("baseimage", json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"})),
        ("image", json!({"name": "wasm", "baseImageName": "base"})),
        (
            "function",
            json!({"name": "f", "image": "wasm", "source": source(),
            "secrets": ["s"]}),
        ),
        ("function", json!({"name": "g", "image": "wasm", "source": source()})),
        ("api", json!({"name": "f", "function": "f", "uris": ["/f"], "methods": ["POST"]})),
        ("imagepolicy", json!({"name": "p", "mode": "warn", "rules": rules})),
        ("iam/role", json!({"name": "r", "permissions": permissions})),
        ("iam/group", json!({"name": "g", "members": ["ada"]})),
    ]
}

/// Makes the organization `doomed` with an account and all kinds of things in it.
async fn fill(iam: &Iam) {
    let none = Value::Null;
    let made = json!({"name": "doomed"});
    iam.call(BOOT, None, Method::POST, "/v1/iam/organization", &made).await.expect(201);
    iam.account("doomed/admin").await;
    let all = json!([crate::iam::rule("admin", &["*"], &["*"])]);
    iam.policy("doomed", "admin", false, all).await;
    for (noun, thing) in things() {
        let path = format!("/v1/{noun}");
        let made = iam.call("doomed/admin", None, Method::POST, &path, &thing).await;
        assert!(matches!(made.status, 200 | 201), "{noun}: {}", made.text);
    }
    for path in ["/v1/function/f", "/v1/function/g", "/v1/api/f"] {
        eventually(&format!("{path} is READY"), async || {
            let answer = iam.call("doomed/admin", None, Method::GET, path, &none).await;
            (answer.json()["status"] == "READY").then_some(()).ok_or(answer.text)
        })
        .await;
    }
    for blocking in [true, false] {
        let run = json!({"functionName": "f", "blocking": blocking, "input": 1});
        let answer = iam.call("doomed/admin", None, Method::POST, "/v1/runs", &run).await;
        assert!(answer.status < 300, "{}", answer.text);
    }
}

async fn gone(iam: &Iam) {
    eventually("the organization is gone", async || {
        let path = "/v1/iam/organization/doomed";
        let answer = iam.call(BOOT, None, Method::GET, path, &Value::Null).await;
        (answer.status == 404).then_some(()).ok_or(answer.text)
    })
    .await;
}

#[tokio::test]
async fn everything_in_it_goes_and_one_of_the_name_finds_nothing_of_before() {
    let iam = Iam::start().await;
    let none = Value::Null;
    fill(&iam).await;
    let through = || send(iam.server.gateway(Method::POST, "/doomed/f").json(&json!({})));
    through().await.expect(200);
    let path = "/v1/iam/organization/doomed";
    iam.call(BOOT, None, Method::DELETE, path, &none).await.expect(409);
    let all = format!("{path}?all=true");
    iam.call("doomed/admin", None, Method::GET, "/v1/secret/s", &none).await.expect(200);
    let marked = iam.call(BOOT, None, Method::DELETE, &all, &none).await.expect(200).json();
    assert_eq!(marked["status"], "DELETING");
    // From the answer on.
    iam.call("doomed/admin", None, Method::GET, "/v1/secret/s", &none).await.expect(401);
    let inside = json!({"name": "new"});
    let made = iam.call("acme/admin", Some("doomed"), Method::POST, "/v1/application", &inside);
    made.await.expect(403);
    through().await.expect(404);
    gone(&iam).await;
    through().await.expect(404);

    let made = json!({"name": "doomed"});
    iam.call(BOOT, None, Method::POST, "/v1/iam/organization", &made).await.expect(201);
    let lists = [
        "secret",
        "application",
        "baseimage",
        "image",
        "function",
        "api",
        "imagepolicy",
        "runs",
        "deadletters",
        "iam/policy",
        "iam/group",
        "iam/serviceaccount",
        "usage",
        "package",
    ];
    for list in lists {
        let path = format!("/v1/{list}");
        let answer = iam.call("acme/admin", Some("doomed"), Method::GET, &path, &none).await;
        assert_eq!(answer.expect(200).text, "[]", "{list}");
    }
    iam.call("doomed/admin", None, Method::GET, "/v1/secret", &none).await.expect(401);
}

#[tokio::test]
async fn the_operators_organization_stays() {
    let iam = Iam::start().await;
    for path in ["/v1/iam/organization/dispatch?all=true", "/v1/iam/organization/dispatch"] {
        let answer = iam.call(BOOT, None, Method::DELETE, path, &Value::Null).await;
        let error = answer.expect(409).error();
        assert!(error.message.contains("its engines (process, wasm) lie there"), "{error:?}");
    }
    let path = "/v1/iam/organization/dispatch";
    let there = iam.call(BOOT, None, Method::GET, path, &Value::Null).await.expect(200).json();
    assert_eq!(there["status"], "READY");
}

#[tokio::test]
async fn one_whose_policies_hold_everywhere_stays_until_they_are_gone() {
    let iam = Iam::start().await;
    let path = "/v1/iam/organization/acme?all=true";
    let error = iam.call(BOOT, None, Method::DELETE, path, &Value::Null).await.expect(409).error();
    assert!(error.message.contains("lie there (admin): delete them first"), "{error:?}");
    let policy = "/v1/iam/policy/admin";
    iam.call(BOOT, Some("acme"), Method::DELETE, policy, &Value::Null).await.expect(200);
    iam.call(BOOT, None, Method::DELETE, path, &Value::Null).await.expect(200);
}

#[tokio::test]
async fn who_may_not_delete_one_cannot_delete_it_whole() {
    let iam = Iam::start().await;
    let path = "/v1/iam/organization/other?all=true";
    iam.call("other/eve", None, Method::DELETE, path, &Value::Null).await.expect(403);
    iam.call("acme/rest", None, Method::DELETE, path, &Value::Null).await.expect(403);
    iam.call("acme/admin", None, Method::DELETE, path, &Value::Null).await.expect(200);
}

/// Killed again and again at any moment, it comes to its end all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::chosen().await;
    let start = || Process::start_on(dir.path(), &database, &[]);
    let mut server = start();
    server.post("/v1/iam/organization", json!({"name": "doomed"})).await.expect(201);
    let inside = |method: Method, path: &str| {
        server.request(method, path).header("x-dispatch-org", "doomed")
    };
    for (noun, thing) in things() {
        let made = send(inside(Method::POST, &format!("/v1/{noun}")).json(&thing)).await;
        assert!(matches!(made.status, 200 | 201), "{noun}: {}", made.text);
    }
    for n in 0..40 {
        let secret = json!({"name": format!("s{n}"), "secrets": {"k": "v"}});
        send(inside(Method::POST, "/v1/secret").json(&secret)).await.expect(201);
        let app = json!({"name": format!("a{n}")});
        send(inside(Method::POST, "/v1/application").json(&app)).await.expect(200);
    }
    let path = "/v1/iam/organization/doomed";
    let marked = server.delete(&format!("{path}?all=true")).await.expect(200).json();
    assert_eq!(marked["status"], "DELETING");
    for pause_ms in [0, 20, 60, 150] {
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        drop(server);
        server = start();
        let answer = server.get(path).await;
        assert!(matches!(answer.status, 200 | 404), "{}", answer.text);
    }
    server.wait_gone(path).await;
    server.post("/v1/iam/organization", json!({"name": "doomed"})).await.expect(201);
    for list in ["secret", "application", "function", "api", "runs"] {
        let request = server.request(Method::GET, &format!("/v1/{list}"));
        let found = send(request.header("x-dispatch-org", "doomed")).await.expect(200);
        assert_eq!(found.text, "[]", "{list}");
    }
}

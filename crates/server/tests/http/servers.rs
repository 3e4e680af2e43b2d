//! Two servers on one database are one Dispatch.

use std::time::{Duration, Instant};

use base64::Engine as _;
use dispatch_testkit::{Database, Options, Server, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{BOOT, public_key, token};

/// A handler that takes a second to load, and answers with a word.
fn slow(word: &str) -> Value {
    let text =
        format!("import time\ntime.sleep(1)\ndef handle(ctx, payload):\n    return '{word}'\n");
    let source = base64::engine::general_purpose::STANDARD.encode(text);
    json!({"name": "f", "image": "python3", "handler": "f.handle", "source": source})
}

async fn ready(server: &Server, version: u64) -> Value {
    eventually("the function is made", async || {
        let answer = server.get("/v1/function/f").await;
        let f = answer.json();
        let is = f["status"] == "READY" && f["version"] == version;
        is.then_some(f).ok_or(answer.text)
    })
    .await
}

async fn says(server: &Server, word: &str) {
    eventually("calls reach the newest", async || {
        let run = server.post("/v1/runs?functionName=f", json!({"blocking": true})).await;
        (run.json()["output"] == word).then_some(()).ok_or(run.text)
    })
    .await;
}

/// Two servers on one database, with more settings; none without PostgreSQL.
async fn two(more: &str) -> Option<(Server, Server)> {
    let database = Database::postgres().await?;
    let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let settings =
        format!("[seal]\nroot_key = \"{key}\"\n[usage]\nflush_interval_ms = 100\n{more}");
    let options = Options { settings };
    let one = Server::start_on(database.clone(), options.clone()).await;
    Some((one, Server::start_on(database, options).await))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_made_by_one_of_them() {
    let Some((one, other)) = two("").await else { return };
    one.image("python3").await;
    one.post("/v1/function", slow("one")).await.expect(201);
    // Stored, begun, made: a round more for each server would be a build more for each, too.
    let made = ready(&other, 1).await["revision"].as_i64().unwrap();
    assert!(made <= 4, "{made} writes");
    says(&one, "one").await;
    says(&other, "one").await;
    other.put("/v1/function/f", slow("two")).await.expect(200);
    let updated = ready(&one, 2).await["revision"].as_i64().unwrap();
    assert!(updated - made <= 4, "{} writes", updated - made);
    says(&one, "two").await;
    says(&other, "two").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_do_what_is_the_same_on_both_within_a_second() {
    let auth = format!(
        "[auth]\nmode = \"required\"\n[bootstrap]\nuser = \"{BOOT}\"\npublic_key = \"{}\"\n",
        public_key()
    );
    let Some((one, other)) = two(&auth).await else { return };
    let by = |server: &Server, issuer: &str, method: Method, path: &str| {
        server.request(method, path).bearer_auth(token(issuer, 600))
    };
    let boot = async |method: Method, path: &str, body: &Value| {
        send(by(&one, BOOT, method, path).json(body)).await
    };
    let account = json!({"name": "ci", "publicKey": public_key()});
    boot(Method::POST, "/v1/iam/serviceaccount", &account).await.expect(201);
    let group = json!({"name": "ops", "members": ["ci"]});
    boot(Method::POST, "/v1/iam/group", &group).await.expect(201);
    let role = |resource: &str| {
        let permission = json!({"actions": ["get"], "resources": [resource]});
        json!({"name": "reader", "permissions": [permission]})
    };
    boot(Method::POST, "/v1/iam/role", &role("secret")).await.expect(201);
    let allow = json!({"subjects": ["group:ops"], "roles": ["reader"]});
    let deny = json!({"subjects": ["ci"], "actions": ["*"], "resources": ["*"], "effect": "deny"});
    let policy = |rules: Value| json!({"name": "p", "rules": rules});
    boot(Method::POST, "/v1/iam/policy", &policy(json!([allow]))).await.expect(201);
    let becomes = async |code: u16, what: &str| {
        let from = Instant::now();
        loop {
            let get = by(&other, "dispatch/ci", Method::GET, "/v1/secret");
            let status = send(get).await.status;
            // What the first answers holds there from then on.
            if status == code {
                break;
            }
            assert!(from.elapsed() < Duration::from_secs(1), "{what}: {status} after a second");
            tokio::task::yield_now().await;
        }
        let get = by(&one, "dispatch/ci", Method::GET, "/v1/secret");
        send(get).await.expect(code);
    };
    becomes(200, "a policy").await;
    boot(Method::PUT, "/v1/iam/policy/p", &policy(json!([allow, deny]))).await.expect(200);
    becomes(403, "a denial").await;
    boot(Method::PUT, "/v1/iam/policy/p", &policy(json!([allow]))).await.expect(200);
    becomes(200, "its end").await;
    boot(Method::PUT, "/v1/iam/role/reader", &role("function")).await.expect(200);
    becomes(403, "a narrower role").await;
    boot(Method::PUT, "/v1/iam/role/reader", &role("*")).await.expect(200);
    becomes(200, "a wider role").await;
    boot(Method::PUT, "/v1/iam/group/ops", &json!({"members": []})).await.expect(200);
    becomes(403, "leaving a group").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_deleted_by_one_runs_nothing_on_the_other() {
    let Some((one, other)) = two("").await else { return };
    one.post("/v1/iam/organization", json!({"name": "doomed"})).await.expect(201);
    let in_it = |server: &Server, method: Method, path: &str| {
        server.request(method, path).header("x-dispatch-org", "doomed")
    };
    let post = async |path: &str, body: Value| {
        send(in_it(&one, Method::POST, path).json(&body)).await.expect(201)
    };
    let base = json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"});
    post("/v1/baseimage", base).await;
    post("/v1/image", json!({"name": "wasm", "baseImageName": "base"})).await;
    let source = include_bytes!("../../../../examples/wasm/echo.wat");
    let source = base64::engine::general_purpose::STANDARD.encode(source);
    post("/v1/function", json!({"name": "f", "image": "wasm", "source": source})).await;
    let run = async |server: &Server| {
        let request = in_it(server, Method::POST, "/v1/runs?functionName=f");
        send(request.json(&json!({"blocking": true}))).await
    };
    for server in [&one, &other] {
        eventually("it runs", async || {
            let answer = run(server).await;
            (answer.status == 200).then_some(()).ok_or(answer.text)
        })
        .await;
    }
    one.delete("/v1/iam/organization/doomed?all=true").await.expect(200);
    eventually("it runs on the other no more", async || {
        let answer = run(&other).await;
        // As for an organization that never was.
        (answer.status == 403).then_some(()).ok_or(answer.text)
    })
    .await;
    for server in [&one, &other] {
        server.wait_gone("/v1/iam/organization/doomed").await;
    }
    other.post("/v1/iam/organization", json!({"name": "doomed"})).await.expect(201);
    eventually("nothing is there", async || {
        let answer = send(in_it(&one, Method::GET, "/v1/runs")).await;
        (answer.status == 200 && answer.text == "[]").then_some(()).ok_or(answer.text)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_a_day_is_that_of_both() {
    let Some((one, other)) = two("").await else { return };
    one.image("python3").await;
    let source = b"import time\ndef handle(ctx, payload):\n    time.sleep(0.2)\n";
    one.function("f", "python3", source, json!({"memoryMib": 64})).await;
    let run = async |server: &Server| {
        server.post("/v1/runs?functionName=f", json!({"blocking": true})).await
    };
    run(&other).await.expect(200);
    let quota = json!({"name": "dispatch", "quota": {"memorySecondsPerDay": 12}});
    one.put("/v1/iam/organization/dispatch", quota).await.expect(200);
    eventually("what one used counts on the other", async || {
        let answer = run(&one).await;
        (answer.status == 429).then_some(()).ok_or(answer.text)
    })
    .await;
    let used = one.get("/v1/usage").await.expect(200).json();
    assert!(used[0]["memoryMibMs"].as_u64().unwrap() >= 12_000, "{used}");
}

//! Quotas: what is too much is 429, with which limit, its value, what is used and when it frees.

use dispatch_testkit::{Answer, Options, Server, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");
/// Keeps a worker for the milliseconds of its payload.
const SLEEP: &[u8] = b"import time\ndef handle(context, ms):\n    time.sleep(ms / 1000)\n";
const ORGANIZATION: &str = "/v1/iam/organization/dispatch";

/// Limits the default organization.
async fn limit(server: &Server, quota: Value) {
    let body = json!({"name": "dispatch", "quota": quota});
    server.put(ORGANIZATION, body).await.expect(200);
}

async fn run(server: &Server, function: &str, input: Value, blocking: bool) -> Answer {
    let path = format!("/v1/runs?functionName={function}");
    server.post(&path, json!({"blocking": blocking, "input": input})).await
}

/// Waits until the limits that were set hold for runs: a change is taken in by those who run.
async fn until(server: &Server, function: &str, status: u16) -> Answer {
    eventually("the limit holds", async || {
        let answer = run(server, function, json!(0), true).await;
        if answer.status == status { Ok(answer) } else { Err(answer.text) }
    })
    .await
}

async fn refusals(server: &Server, limit: &str) -> u64 {
    let text = server.get("/metrics").await.expect(200).text;
    let name = format!("dispatch_quota_refusals_total{{limit=\"{limit}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[tokio::test]
async fn functions_and_routes_are_counted_when_they_are_made() {
    let server = Server::start().await;
    server.image("wasm").await;
    limit(&server, json!({"functions": 1, "routes": 2})).await;
    server.function("f", "wasm", ECHO, json!({})).await;
    let second = json!({"name": "g", "image": "wasm", "source": "YQ=="});
    let refused = server.post("/v1/function", second.clone()).await.expect(429);
    assert_eq!(refused.header("retry-after"), "60");
    let error = refused.error();
    assert_eq!(error.error_code.as_deref(), Some("QUOTA001"));
    assert_eq!(
        error.message,
        "the organization's quota functions is 1 and 1 are used; delete a function or ask an \
         operator to raise it"
    );
    let api = json!({"name": "a", "function": "f", "uris": ["/a", "/b", "/c"]});
    let message = server.post("/v1/api", api).await.expect(429).error().message;
    assert!(message.contains("routes is 2 and 0 are used; delete an api"), "{message}");
    let api = json!({"name": "a", "function": "f", "uris": ["/a", "/b"]});
    server.post("/v1/api", api).await.expect(200);
    let api = json!({"function": "f", "uris": ["/a", "/b"], "hosts": ["one", "two"]});
    server.put("/v1/api/a", api).await.expect(429);
    assert_eq!((refusals(&server, "functions").await, refusals(&server, "routes").await), (1, 2));
    server.delete("/v1/function/f").await.expect(200);
    server.wait_gone("/v1/function/f").await;
    server.post("/v1/function", second).await.expect(201);
}

#[tokio::test]
async fn what_is_stored_is_counted() {
    let server = Server::start().await;
    server.image("wasm").await;
    limit(&server, json!({"storageBytes": 10_000})).await;
    server.function("f", "wasm", ECHO, json!({})).await;
    let secret = |bytes: usize| json!({"name": "s", "secrets": {"k": "x".repeat(bytes)}});
    let message = server.post("/v1/secret", secret(20_000)).await.expect(429).error().message;
    assert!(message.contains("storageBytes is 10000") && message.contains("leaves"), "{message}");
    server.post("/v1/secret", secret(10)).await.expect(201);
    server.put("/v1/secret/s", secret(20_000)).await.expect(429);
}

#[tokio::test]
async fn a_rate_holds_back_runs_of_the_api_and_of_the_gateway() {
    let server = Server::start().await;
    server.image("wasm").await;
    server.function("f", "wasm", ECHO, json!({})).await;
    let api = json!({"name": "f", "function": "f", "uris": ["/f"], "methods": ["POST"]});
    server.post("/v1/api", api).await.expect(200);
    server.wait_for("/v1/api/f", "READY").await;
    limit(&server, json!({"runsPerSecond": 1, "runsBurst": 1})).await;
    let refused = until(&server, "f", 429).await;
    assert_eq!(refused.header("retry-after"), "1");
    let error = refused.error();
    assert_eq!(error.error_code.as_deref(), Some("QUOTA002"));
    let message = error.message;
    assert!(
        message
            .starts_with("the organization's quota runsPerSecond is 1 and 1 are used; frees in ")
    );
    assert!(message.ends_with(" ms"), "{message}");
    let runs = server.all("/v1/runs").await.len();
    let accepted = run(&server, "f", json!(0), false).await.expect(429);
    assert_eq!(accepted.error().error_code.as_deref(), Some("QUOTA002"));
    let through = server.gateway(Method::POST, "/dispatch/f").json(&json!({}));
    let answer = send(through).await.expect(429);
    let body = answer.json();
    assert_eq!(body["errorCode"], "QUOTA002");
    assert!(body["message"].as_str().unwrap().contains("frees in"), "{body}");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(server.all("/v1/runs").await.len(), runs, "what is refused is not recorded");
    assert!(refusals(&server, "runsPerSecond").await >= 3);
    until(&server, "f", 200).await;
    limit(&server, json!({})).await;
    eventually("no limit holds any more", async || {
        for _ in 0..5 {
            let answer = run(&server, "f", json!(0), true).await;
            if answer.status != 200 {
                return Err(answer.text);
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn runs_under_way_are_counted_from_their_acceptance() {
    let server = Server::start().await;
    server.image("python3").await;
    server.function("sleep", "python3", SLEEP, json!({})).await;
    run(&server, "sleep", json!(0), true).await.expect(200);
    limit(&server, json!({"concurrentRuns": 0})).await;
    until(&server, "sleep", 429).await;
    limit(&server, json!({"concurrentRuns": 2})).await;
    until(&server, "sleep", 200).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let accepted = run(&server, "sleep", json!(1_000), false).await.expect(202).json();
        ids.push(accepted["name"].as_str().unwrap().to_owned());
    }
    for blocking in [true, false] {
        let refused = run(&server, "sleep", json!(0), blocking).await.expect(429);
        let message = refused.error().message;
        let expected = "the organization's quota concurrentRuns is 2 and 2 are used; frees when a \
                        run ends";
        assert_eq!(message, expected);
    }
    for id in ids {
        server.wait_for(&format!("/v1/runs/{id}"), "READY").await;
    }
    until(&server, "sleep", 200).await;
}

#[tokio::test]
async fn the_memory_of_a_day_is_used_up_also_after_a_restart() {
    let settings = "[usage]\nflush_interval_ms = 100".to_owned();
    let mut server = Server::start_with(Options { settings }).await;
    server.image("python3").await;
    server.function("sleep", "python3", SLEEP, json!({"memoryMib": 64})).await;
    // 64 MiB for a fifth of a second are more than twelve MiB-seconds.
    limit(&server, json!({"memorySecondsPerDay": 12})).await;
    run(&server, "sleep", json!(200), true).await.expect(200);
    let refused = until(&server, "sleep", 429).await;
    let error = refused.error();
    assert_eq!(error.error_code.as_deref(), Some("QUOTA003"));
    assert!(error.message.contains("memorySecondsPerDay is 12 and"), "{}", error.message);
    assert!(error.message.ends_with("T00:00:00Z"), "{}", error.message);
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&after));
    server.restart().await;
    run(&server, "sleep", json!(0), true).await.expect(429);
    limit(&server, json!({"memorySecondsPerDay": 1_000})).await;
    until(&server, "sleep", 200).await;
}

#[tokio::test]
async fn new_organizations_have_the_servers_quota_where_they_say_nothing_else() {
    let settings = "[quotas]\nfunctions = 3\nruns_per_second = 7".to_owned();
    let server = Server::start_with(Options { settings }).await;
    let made = json!({"name": "a", "quota": {"functions": 5}});
    let made = server.post("/v1/iam/organization", made).await.expect(201).json();
    assert_eq!(made["quota"], json!({"functions": 5, "runsPerSecond": 7}));
    let first = server.get(ORGANIZATION).await.expect(200).json();
    assert_eq!(first.get("quota"), None, "the operators' own has none");
    for (quota, field) in [
        (json!({"runsPerSecond": 0}), "quota.runsPerSecond"),
        (json!({"runsBurst": 5}), "quota.runsBurst"),
        (json!({"eventsPerSecond": 5}), "quota.eventsPerSecond"),
        (json!({"functions": -1}), "quota.functions"),
    ] {
        let body = json!({"name": "b", "quota": quota});
        let error = server.post("/v1/iam/organization", body).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(field), "{error:?}");
    }
}

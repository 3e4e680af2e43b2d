//! Usage: what organizations used, as JSON and as CSV.

use dispatch_testkit::{Answer, Options, Server};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{Iam, rule};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");

async fn run(server: &Server, function: &str, input: &Value) -> Answer {
    let path = format!("/v1/runs?functionName={function}");
    server.post(&path, json!({"blocking": true, "input": input})).await.expect(200)
}

/// The rows of a question, without the time, which may be that of two hours.
async fn usage(server: &Server, query: &str) -> Vec<Value> {
    server.get(&format!("/v1/usage{query}")).await.expect(200).shape()
}

fn sum(rows: &[Value], field: &str) -> u64 {
    rows.iter().filter_map(|row| row[field].as_u64()).sum()
}

#[tokio::test]
async fn runs_are_metered_by_function_and_survive_a_graceful_stop() {
    // So seldom that only questions and the stop store anything.
    let settings = "[usage]\nflush_interval_ms = 3600000".to_owned();
    let mut server = Server::start_with(Options { settings }).await;
    server.image("wasm").await;
    server.function("f", "wasm", ECHO, json!({"memoryMib": 64})).await;
    server.function("g", "wasm", ECHO, json!({"schema": {"in": {"type": "string"}}})).await;
    for _ in 0..3 {
        run(&server, "f", &json!("four")).await;
    }
    run(&server, "g", &json!(1)).await;
    let rows = usage(&server, "").await;
    assert_eq!((sum(&rows, "runs"), sum(&rows, "errors")), (4, 1), "{rows:?}");
    assert_eq!(sum(&rows, "bytesIn"), 3 * 6 + 1, "{rows:?}");
    assert!(sum(&rows, "bytesOut") > 3 * 6 && sum(&rows, "memoryMibMs") > 0, "{rows:?}");
    assert!(rows.iter().all(|row| row["organization"] == "dispatch"));
    assert!(rows.iter().any(|row| row["maxConcurrency"] == 1), "{rows:?}");
    let each = usage(&server, "?function=*&by=hour").await;
    let g: Vec<_> = each.into_iter().filter(|row| row["function"] == "g").collect();
    assert_eq!((sum(&g, "runs"), sum(&g, "errors")), (1, 1), "{g:?}");
    run(&server, "f", &json!("four")).await;
    server.restart().await;
    assert_eq!(sum(&usage(&server, "?function=f").await, "runs"), 4);
}

#[tokio::test]
async fn a_csv_has_a_line_for_each_row() {
    let server = Server::start().await;
    server.image("wasm").await;
    server.function("f", "wasm", ECHO, json!({})).await;
    run(&server, "f", &json!("x")).await;
    let answer = server.get("/v1/usage?function=*&format=csv").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let mut lines = answer.text.lines();
    let titles = lines.next().unwrap();
    assert!(titles.starts_with("organization,function,time,runs,errors,durationMs,"), "{titles}");
    let line: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!((line.len(), &line[..2]), (titles.split(',').count(), &["dispatch", "f"][..]));
    assert!(line[2].ends_with("T00:00:00Z"), "{line:?}");
    assert_eq!(&line[3..5], ["1", "0"]);
}

#[tokio::test]
async fn wrong_questions_are_told_what_is_wrong() {
    let server = Server::start().await;
    for query in ["since=9&until=9", "function=-", "by=week", "format=xml", "who=me", "since=x"] {
        let answer = server.get(&format!("/v1/usage?{query}")).await.expect(400);
        assert_eq!(answer.error().error_code.as_deref(), Some("API001"), "{query}");
    }
    assert!(usage(&server, "?until=1000").await.is_empty(), "nothing was used in 1970");
}

#[tokio::test]
async fn an_organization_sees_its_own_and_who_may_everywhere_sees_all() {
    let iam = Iam::start().await;
    for (issuer, org) in [("acme/admin", "acme"), ("other/eve", "other")] {
        let secret = json!({"name": "s", "secrets": {"k": "v"}});
        iam.call(issuer, None, Method::POST, "/v1/secret", &secret).await.expect(201);
        let _ = org;
    }
    // The first look at what is stored was before there was anything.
    let store = &iam.server.running().app.store;
    let hour = dispatch_model::resource::now_ms() / 3_600_000;
    let deltas = ["acme", "other"].map(|org| dispatch_store::usage::UsageDelta {
        org: org.to_owned(),
        hour,
        function: "f".to_owned(),
        runs: 1,
        ..Default::default()
    });
    store.usage_add(&deltas).await.unwrap();
    let get = async |issuer: &str, path: &str| {
        iam.call(issuer, None, Method::GET, path, &Value::Null).await
    };
    let names = |answer: Answer| -> Vec<String> {
        let rows: Vec<Value> = answer.expect(200).shape();
        rows.iter().map(|row| row["organization"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(get("other/eve", "/v1/usage").await), ["other"]);
    let all = "/v1/usage?allOrganizations=true";
    get("other/eve", all).await.expect(403);
    assert_eq!(names(get("acme/admin", all).await), ["acme", "other"]);
    iam.policy("acme", "one", false, json!([rule("one", &["get"], &["usage"])])).await;
    assert_eq!(names(get("acme/one", "/v1/usage").await), ["acme"]);
    get("acme/one", all).await.expect(403);
    get("acme/rest", "/v1/usage").await.expect(403);
}

//! Runs are kept by age and by number.

use dispatch_testkit::{Options, Server, eventually};
use serde_json::{Value, json};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");

async fn server(settings: &str) -> Server {
    let settings = format!("[runs]\nretention_interval_s = 1\n{settings}");
    let server = Server::start_with(Options { settings }).await;
    server.image("wasm").await;
    server.function("f", "wasm", ECHO, json!({})).await;
    server
}

async fn run(server: &Server, n: usize) -> String {
    let body = json!({"blocking": true, "input": n});
    let run: Value = server.post("/v1/runs?functionName=f", body).await.expect(200).json();
    run["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_newest_runs_of_a_function_are_kept() {
    let server = server("max_per_function = 5").await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(run(&server, n).await);
    }
    let newest: Vec<String> = ids.iter().rev().take(5).cloned().collect();
    eventually("five are left", async || {
        let left = server.get("/v1/runs").await.expect(200).names();
        if left == newest { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    server.get(&format!("/v1/runs/{}", ids[0])).await.expect(404);
    server.get(&format!("/v1/runs/{}", ids[11])).await.expect(200);
}

#[tokio::test]
async fn old_runs_go() {
    let server = server("max_age_s = 1").await;
    let id = run(&server, 1).await;
    eventually("it is gone", async || {
        let answer = server.get(&format!("/v1/runs/{id}")).await;
        if answer.status == 404 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

//! Two servers on one database are one Dispatch.

use base64::Engine as _;
use dispatch_testkit::{Database, Options, Server, eventually};
use serde_json::{Value, json};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_made_by_one_of_them() {
    let Some(database) = Database::postgres().await else { return };
    let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let options = Options { settings: format!("[seal]\nroot_key = \"{key}\"") };
    let one = Server::start_on(database.clone(), options.clone()).await;
    let other = Server::start_on(database, options).await;
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

//! Functions: what is checked, and how they become READY, change and go.

use base64::Engine as _;
use dispatch_testkit::{Server, eventually};
use serde_json::{Value, json};

fn source(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

const PYTHON: &str = "def handle(ctx, payload):\n    return 'hello'\n";

/// A component that echoes; every word makes another source of it.
fn echo(word: &str) -> String {
    let text = include_str!("../../../../examples/wasm/echo.wat");
    source(&format!("{text}\n;; {word}\n"))
}

async fn run(server: &Server, name: &str) -> Value {
    let path = format!("/v1/runs?functionName={name}");
    let done = server.post(&path, json!({"blocking": true})).await.expect(200).json();
    assert_eq!(done["status"], "READY", "{done}");
    done
}

#[tokio::test]
async fn a_function_becomes_ready_and_runs() {
    let server = Server::start().await;
    for (language, code) in [("wasm", echo("x")), ("python3", source(PYTHON))] {
        server.image(language).await;
        let shape = json!({"name": language, "image": language, "source": code});
        let created = server.post("/v1/function", shape).await.expect(201).json();
        assert_eq!(created["status"], "INITIALIZED");
        assert!(created.get("source").is_none(), "{created}");
        let ready = server.wait_for(&format!("/v1/function/{language}"), "READY").await;
        let done = run(&server, language).await;
        assert_eq!((&done["faasId"], &done["engine"]), (&ready["faasId"], &ready["engine"]));
    }
}

#[tokio::test]
async fn an_update_without_a_source_keeps_it_and_a_new_one_takes_over() {
    let server = Server::start().await;
    server.image("wasm").await;
    let shape = json!({"name": "f", "image": "wasm", "source": echo("one")});
    server.post("/v1/function", shape).await.expect(201);
    let first = server.wait_for("/v1/function/f", "READY").await;

    let tagged = json!({"name": "f", "image": "wasm", "tags": [{"key": "a", "value": "b"}]});
    server.put("/v1/function/f", tagged).await.expect(200);
    let same = server.wait_for("/v1/function/f", "READY").await;
    assert_eq!(
        (&same["faasId"], &same["sourceDigest"]),
        (&first["faasId"], &first["sourceDigest"])
    );

    let other = json!({"image": "wasm", "source": echo("two")});
    server.put("/v1/function/f", other).await.expect(200);
    let second = server.wait_for("/v1/function/f", "READY").await;
    assert_ne!(second["faasId"], first["faasId"]);
    assert_eq!(run(&server, "f").await["faasId"], second["faasId"]);
    let renamed = json!({"name": "g", "image": "wasm"});
    let error = server.put("/v1/function/f", renamed).await.expect(400).error();
    assert_eq!(error.field.as_deref(), Some("name"));
}

#[tokio::test]
async fn states_show_what_is_being_done() {
    let server = Server::start().await;
    server.image("python3").await;
    let slow = |word: &str| {
        let text = "import time\ntime.sleep(1)\ndef handle(ctx, payload):\n    return '";
        source(&format!("{text}{word}'\n"))
    };
    let shape = json!({"name": "f", "image": "python3", "source": slow("one")});
    let created = server.post("/v1/function", shape).await.expect(201).json();
    assert_eq!(created["status"], "INITIALIZED");
    server.wait_for("/v1/function/f", "CREATING").await;
    server.wait_for("/v1/function/f", "READY").await;

    let other = json!({"image": "python3", "source": slow("two")});
    let updated = server.put("/v1/function/f", other).await.expect(200).json();
    assert_eq!(updated["status"], "UPDATING");
    let during = server.get("/v1/function/f").await.json();
    assert_eq!(during["status"], "UPDATING");
    assert_eq!(run(&server, "f").await["output"], "one", "the version before goes on serving");
    server.wait_for("/v1/function/f", "READY").await;
    assert_eq!(run(&server, "f").await["output"], "two");
}

#[tokio::test]
async fn a_failed_update_leaves_the_old_version_serving() {
    let mut server = Server::start().await;
    server.image("wasm").await;
    let shape = json!({"name": "f", "image": "wasm", "source": echo("good")});
    server.post("/v1/function", shape).await.expect(201);
    let good = server.wait_for("/v1/function/f", "READY").await;
    let broken = json!({"image": "wasm", "source": source("(component oops)")});
    server.put("/v1/function/f", broken).await.expect(200);
    let found = server.wait_for("/v1/function/f", "ERROR").await;
    let reason = found["reason"].to_string();
    assert!(reason.contains("ENGINE003") && reason.contains("goes on serving"), "{reason}");
    assert_eq!(run(&server, "f").await["faasId"], good["faasId"]);
    server.restart().await;
    assert_eq!(run(&server, "f").await["faasId"], good["faasId"]);
}

#[tokio::test]
async fn a_function_waits_for_its_image() {
    let server = Server::start().await;
    let shape = json!({"name": "f", "image": "wasm", "source": echo("x")});
    server.post("/v1/function", shape).await.expect(201);
    let found = server.wait_for("/v1/function/f", "ERROR").await;
    assert_eq!(found["reason"][0], "image wasm does not exist");
    server.image("wasm").await;
    server.wait_for("/v1/function/f", "READY").await;
}

#[tokio::test]
async fn an_image_can_go_while_its_function_runs_on() {
    let server = Server::start().await;
    server.image("wasm").await;
    let shape = json!({"name": "f", "image": "wasm", "source": echo("x")});
    server.post("/v1/function", shape).await.expect(201);
    server.wait_for("/v1/function/f", "READY").await;
    let deleted = server.delete("/v1/image/wasm").await.expect(200);
    assert!(deleted.header("warning").contains("function f"), "{deleted:?}");
    server.wait_gone("/v1/image/wasm").await;
    run(&server, "f").await;
}

#[tokio::test]
async fn deleting_a_function_deletes_its_runs_unless_they_are_kept() {
    let server = Server::start().await;
    server.image("wasm").await;
    for (query, left) in [("", 0), ("?keepRuns=true", 1)] {
        let shape = json!({"name": "f", "image": "wasm", "source": echo("x")});
        server.post("/v1/function", shape).await.expect(201);
        server.wait_for("/v1/function/f", "READY").await;
        run(&server, "f").await;
        eventually("the run is recorded", async || {
            let runs = server.get("/v1/runs?functionName=f").await;
            (runs.json().as_array().unwrap().len() == 1).then_some(()).ok_or(runs.text)
        })
        .await;
        let deleted = server.delete(&format!("/v1/function/f{query}")).await.expect(200).json();
        assert_eq!(deleted["status"], "DELETING");
        server.wait_gone("/v1/function/f").await;
        let runs = server.get("/v1/runs").await.expect(200).json();
        assert_eq!(runs.as_array().unwrap().len(), left, "{runs}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_function_is_named_and_nothing_is_stored() {
    let server = Server::start().await;
    let with = |field: &str, value: Value| {
        let mut shape = json!({"name": "f", "image": "i", "source": "aGk="});
        shape[field] = value;
        shape
    };
    let remote = json!({"in": {"$ref": "http://127.0.0.1:1/schema.json"}});
    let cases = [
        (json!({"name": "f", "image": "i"}), "source"),
        (json!({"name": "f", "image": "i", "sourceURL": "http://x/y"}), "sourceURL"),
        (json!({"name": "f", "source": "aGk="}), "image"),
        (with("source", json!("%%%")), "source"),
        (with("timeout", json!(3_600_001)), "timeout"),
        (with("memoryMib", json!(1)), "memoryMib"),
        (with("concurrency", json!(0)), "concurrency"),
        (with("retries", json!(21)), "retries"),
        (with("environment", json!({"a-b": "c"})), "environment"),
        (with("schema", json!({"in": {"type": "strange"}})), "schema.in"),
        (with("schema", remote), "schema.in"),
    ];
    for (shape, field) in cases {
        let error = server.post("/v1/function", shape.clone()).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(field), "{shape}: {error:?}");
    }
    assert!(server.get("/v1/function").await.expect(200).names().is_empty());
}

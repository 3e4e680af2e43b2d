//! Versions of functions: each update makes one, and a rollout says which take calls.

use base64::Engine as _;
use dispatch_testkit::{Server, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

/// A handler that answers with a word.
fn says(word: &str) -> Value {
    let text = format!("def handle(ctx, payload):\n    return '{word}'\n");
    let source = base64::engine::general_purpose::STANDARD.encode(text);
    json!({"name": "f", "image": "python3", "handler": "f.handle", "source": source})
}

/// A function with versions that say `one`, `two`, …
async fn with_versions(server: &Server, words: &[&str]) {
    server.image("python3").await;
    for (at, word) in words.iter().enumerate() {
        match at {
            0 => server.post("/v1/function", says(word)).await.expect(201),
            _ => server.put("/v1/function/f", says(word)).await.expect(200),
        };
        settled(server, |f| f["latestVersion"] == json!(at + 1)).await;
    }
}

async fn settled(server: &Server, is: impl Fn(&Value) -> bool) -> Value {
    eventually("the function is as it is wanted", async || {
        let answer = server.get("/v1/function/f").await;
        let function = answer.json();
        (function["status"] == "READY" && is(&function)).then_some(function).ok_or(answer.text)
    })
    .await
}

async fn call(server: &Server, function: &str) -> Value {
    let path = format!("/v1/runs?functionName={function}");
    server.post(&path, json!({"blocking": true})).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_makes_a_version_and_old_ones_can_be_had_again() {
    let server = Server::start().await;
    with_versions(&server, &["one", "two", "three"]).await;
    let run = call(&server, "f").await;
    assert_eq!((&run["output"], &run["version"]), (&json!("three"), &json!(3)));
    let versions = server.get("/v1/function/f/version").await.expect(200).json();
    let numbers: Vec<_> = versions.as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!((&versions[0]["percent"], &versions[1]["percent"]), (&json!(100), &json!(0)));
    // What changes nothing that runs is no version.
    server.put("/v1/function/f", says("three")).await.expect(200);
    let same = settled(&server, |f| f["version"] == 3).await;
    assert_eq!(same["latestVersion"], 3);

    server.post("/v1/function/f/undo", json!({})).await.expect(202);
    let back = settled(&server, |f| f["version"] == 2).await;
    assert_eq!(back["reason"][0], "version 3 waits for its rollout; version 2 takes the calls");
    assert_eq!(call(&server, "f").await["output"], "two");
    // Undone twice, it is as if nothing had been done: what comes next takes over.
    server.post("/v1/function/f/undo", json!({})).await.expect(202);
    let newest = settled(&server, |f| f["version"] == 3).await;
    assert!(newest["reason"].as_array().is_none_or(Vec::is_empty), "{newest}");
    server.put("/v1/function/f", says("another")).await.expect(200);
    settled(&server, |f| f["version"] == 4).await;
    server.post("/v1/function/f/rollout", json!({"version": 1})).await.expect(202);
    settled(&server, |f| f["version"] == 1).await;
    assert_eq!(call(&server, "f").await["output"], "one");
    // Pinned: an update waits for its turn.
    server.put("/v1/function/f", says("five")).await.expect(200);
    settled(&server, |f| f["latestVersion"] == 5).await;
    assert_eq!(call(&server, "f").await["output"], "one");
    server.post("/v1/function/f/rollout", json!({"version": 5})).await.expect(202);
    settled(&server, |f| f["version"] == 5).await;
    assert_eq!(call(&server, "f").await["output"], "five");
    let missing = server.post("/v1/function/f/rollout", json!({"version": 9})).await;
    assert!(missing.expect(404).error().message.contains("f:9"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_takes_its_share_and_is_promoted_or_taken_back() {
    let server = Server::start().await;
    with_versions(&server, &["one", "two"]).await;
    server.post("/v1/function/f/rollout", json!({"version": 1})).await.expect(202);
    settled(&server, |f| f["version"] == 1).await;
    let trial = json!({"version": 2, "percent": 40});
    server.post("/v1/function/f/rollout", trial).await.expect(202);
    settled(&server, |f| f["canary"]["percent"] == 40).await;
    let mut tried = 0;
    for _ in 0..200 {
        let run = call(&server, "f").await;
        let said = run["placement"].as_str().unwrap_or_default();
        assert_eq!(run["output"] == "two", said.starts_with("canary: "), "{run}");
        tried += i32::from(run["output"] == "two");
    }
    assert!((40..=120).contains(&tried), "{tried} of 200 went to 40 %");
    server.post("/v1/function/f/undo", json!({})).await.expect(202);
    let back = settled(&server, |f| f["canary"].is_null()).await;
    assert_eq!(back["version"], 1);
    let nothing = server.post("/v1/function/f/promote", json!({})).await.expect(400).error();
    assert!(nothing.message.contains("no canary"), "{}", nothing.message);
    server.post("/v1/function/f/rollout", json!({"version": 2, "percent": 1})).await.expect(202);
    settled(&server, |f| f["canary"]["percent"] == 1).await;
    server.post("/v1/function/f/promote", json!({})).await.expect(202);
    settled(&server, |f| f["version"] == 2 && f["canary"].is_null()).await;
    for percent in [0, 101] {
        let wrong = json!({"version": 1, "percent": percent});
        server.post("/v1/function/f/rollout", wrong).await.expect(400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_in_the_document_is_one_like_any_other() {
    let server = Server::start().await;
    with_versions(&server, &["one"]).await;
    let trying = |word: &str, version: u64, percent: u64| {
        let mut shape = says(word);
        shape["placement"] = json!({"canary": {"version": version, "percent": percent}});
        shape
    };
    // The version that the update makes is on trial; the one before takes the rest.
    server.put("/v1/function/f", trying("two", 2, 50)).await.expect(200);
    let tried = settled(&server, |f| f["canary"]["version"] == 2).await;
    assert_eq!(tried["version"], 1, "{tried}");
    server.post("/v1/function/f/undo", json!({})).await.expect(202);
    settled(&server, |f| f["version"] == 1 && f["canary"].is_null()).await;
    // Another trial, and its end by promotion.
    server.put("/v1/function/f", trying("two", 2, 60)).await.expect(200);
    settled(&server, |f| f["canary"]["percent"] == 60).await;
    server.post("/v1/function/f/promote", json!({})).await.expect(202);
    settled(&server, |f| f["version"] == 2 && f["canary"].is_null()).await;
    // A trial of an older version ends with a rollout to the one that takes the calls.
    server.put("/v1/function/f", trying("two", 1, 70)).await.expect(200);
    settled(&server, |f| f["version"] == 2 && f["canary"]["version"] == 1).await;
    server.post("/v1/function/f/rollout", json!({"version": 2})).await.expect(202);
    settled(&server, |f| f["version"] == 2 && f["canary"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_routes_name_versions_and_aliases() {
    let server = Server::start().await;
    with_versions(&server, &["one", "two", "three"]).await;
    let alias = json!({"version": 1, "alias": "blue"});
    server.post("/v1/function/f/rollout", alias).await.expect(202);
    settled(&server, |f| f["aliases"]["blue"] == 1).await;
    let run = call(&server, "f:blue").await;
    assert_eq!((&run["output"], &run["qualifier"]), (&json!("one"), &json!("blue")));
    assert_eq!(run["functionName"], "f");
    assert_eq!(call(&server, "f:3").await["output"], "three");
    for unknown in ["f:green", "f:77"] {
        let path = format!("/v1/runs?functionName={unknown}");
        let error = server.post(&path, json!({"blocking": true})).await.expect(404).error();
        assert!(error.message.contains(unknown), "{}", error.message);
    }
    for (name, function) in [("a", "f:blue"), ("b", "f:2"), ("c", "f")] {
        let api = json!({"name": name, "function": function, "uris": [format!("/{name}")],
            "methods": ["GET"]});
        server.post("/v1/api", api).await.expect(200);
        server.wait_for(&format!("/v1/api/{name}"), "READY").await;
    }
    for (path, word) in [("/a", "one"), ("/b", "two"), ("/c", "three")] {
        eventually("the route leads to its version", async || {
            let path = format!("/dispatch{path}");
            let answer = send(server.gateway(Method::GET, &path)).await;
            (answer.text == format!("\"{word}\"")).then_some(()).ok_or(answer.text)
        })
        .await;
    }
    // A function is in use by a route that names one of its versions.
    server.delete("/v1/function/f?protect=true").await.expect(409);
    server.post("/v1/function/f/rollout", json!({"alias": "blue"})).await.expect(202);
    settled(&server, |f| f["aliases"].is_null()).await;
    let twice = server.post("/v1/function/f/rollout", json!({"alias": "blue"})).await;
    assert!(twice.expect(400).error().message.contains("not there to be removed"));
    server.post("/v1/runs?functionName=f:blue", json!({"blocking": true})).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_outlive_a_restart_and_go_with_their_function() {
    let mut server = Server::start().await;
    with_versions(&server, &["one", "two"]).await;
    let trial = json!({"version": 1, "alias": "old"});
    server.post("/v1/function/f/rollout", trial).await.expect(202);
    settled(&server, |f| f["aliases"]["old"] == 1).await;
    server.restart().await;
    assert_eq!(call(&server, "f").await["output"], "two");
    assert_eq!(call(&server, "f:old").await["output"], "one");
    server.delete("/v1/function/f").await.expect(200);
    eventually("the function is gone", async || {
        let answer = server.get("/v1/function/f").await;
        (answer.status == 404).then_some(()).ok_or(answer.text)
    })
    .await;
    server.post("/v1/function", says("anew")).await.expect(201);
    settled(&server, |f| f["latestVersion"] == 1).await;
    assert_eq!(call(&server, "f").await["output"], "anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_drops_no_call_in_flight() {
    let server = Server::start().await;
    server.image("python3").await;
    let slow = |word: &str| {
        let text = format!(
            "import time\ndef handle(ctx, payload):\n    time.sleep(payload)\n    return '{word}'\n"
        );
        let source = base64::engine::general_purpose::STANDARD.encode(text);
        json!({"name": "f", "image": "python3", "handler": "f.handle", "source": source})
    };
    server.post("/v1/function", slow("old")).await.expect(201);
    settled(&server, |f| f["version"] == 1).await;
    let long = json!({"blocking": true, "input": 4});
    let under_way = server.post("/v1/runs?functionName=f", long);
    let updated = async {
        server.put("/v1/function/f", slow("new")).await.expect(200);
        settled(&server, |f| f["version"] == 2).await;
        let short = json!({"blocking": true, "input": 0});
        server.post("/v1/runs?functionName=f", short).await.expect(200).json()
    };
    let (old, new) = tokio::join!(under_way, updated);
    assert_eq!(old.expect(200).json()["output"], "old");
    assert_eq!(new["output"], "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_cannot_be_made_again_takes_no_calls_from_one_that_can() {
    let server = Server::start().await;
    with_versions(&server, &["one", "two", "three", "four", "five"]).await;
    let named = json!({"version": 3, "alias": "red"});
    server.post("/v1/function/f/rollout", named).await.expect(202);
    settled(&server, |f| f["aliases"]["red"] == 3).await;
    let rule = json!({"name": "none", "effect": "deny", "match": {"baseImage": "host:*"}});
    let policy = json!({"name": "strict", "rules": [rule]});
    server.post("/v1/imagepolicy", policy).await.expect(201);
    server.wait_for("/v1/image/python3", "ERROR").await;
    for rollout in [
        json!({"version": 1, "percent": 50}),
        json!({"version": 1, "alias": "blue"}),
        json!({"version": 2, "alias": "red"}),
        json!({"version": 1}),
    ] {
        server.post("/v1/function/f/rollout", rollout).await.expect(202);
        let function = eventually("it says what is not admitted", async || {
            let answer = server.get("/v1/function/f").await;
            let f = answer.json();
            let said = f["reason"].to_string().contains("is denied by the rule");
            (f["status"] == "ERROR" && said).then_some(f).ok_or(answer.text)
        })
        .await;
        assert_eq!(function["version"], 5, "{function}");
        assert!(function["canary"].is_null(), "{function}");
        // An alias is what it was.
        assert_eq!(function["aliases"], json!({"red": 3}), "{function}");
        assert_eq!(call(&server, "f:red").await["output"], "three");
        for _ in 0..10 {
            assert_eq!(call(&server, "f").await["output"], "five");
        }
        // What was asked for comes when it may.
        let reason = function["reason"].to_string();
        assert!(reason.contains("version 5 goes on serving"), "{reason}");
    }
    let function = server.get("/v1/function/f").await.expect(200).json();
    let reason = function["reason"].to_string();
    assert!(reason.contains("alias red stays with version 3"), "{reason}");
    server.delete("/v1/imagepolicy/strict").await.expect(200);
    let came = json!({"blue": 1, "red": 2});
    settled(&server, |f| f["version"] == 1 && f["aliases"] == came).await;
    assert_eq!(call(&server, "f").await["output"], "one");
    assert_eq!(call(&server, "f:red").await["output"], "two");
    // Nothing needs the version that the alias had any more.
    server.post("/v1/runs?functionName=f:3", json!({"blocking": true})).await.expect(404);
}

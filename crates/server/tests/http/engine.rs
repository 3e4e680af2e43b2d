//! Engines as clients see them: those that are a part of the server, who may see which, and flags.

use dispatch_testkit::{Server, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::Iam;

#[tokio::test]
async fn parts_of_the_server_are_engines_like_the_rest_but_stay() {
    let mut server = Server::start().await;
    let list = server.get("/v1/engine").await.expect(200);
    assert_eq!(list.names(), ["process", "wasm"]);
    let wasm = server.get("/v1/engine/wasm").await.expect(200).json();
    assert_eq!((&wasm["type"], &wasm["kind"]), (&json!("wasm"), &json!("Engine")));
    for field in ["languages", "missing"] {
        assert!(wasm[field].is_array(), "{wasm}");
    }
    let shape = json!({"type": "wasm", "labels": {"region": "eu"}, "cost": 3,
        "tags": [{"key": "team", "value": "blue"}]});
    server.put("/v1/engine/wasm", shape).await.expect(200);
    let selected = server.get("/v1/engine?tags=team=blue&type=wasm").await.expect(200);
    assert_eq!(selected.names(), ["wasm"]);
    let refused = server.delete("/v1/engine/wasm").await.expect(400).error();
    assert!(refused.message.contains("cordon it instead"), "{refused:?}");
    server.restart().await;
    let wasm = server.wait_for("/v1/engine/wasm", "READY").await;
    assert_eq!((&wasm["labels"]["region"], &wasm["cost"]), (&json!("eu"), &json!(3)));
    server.stop().await;
}

#[tokio::test]
async fn flags_are_set_and_taken_back_at_the_revision_that_was_seen() {
    let server = Server::start().await;
    let path = "/v1/engine/wasm";
    eventually("the engine was looked at", async || {
        let engine = server.get(path).await.json();
        (engine["healthy"] == true && engine["revision"] != 1).then_some(()).ok_or(engine)
    })
    .await;
    for (flag, what) in [("cordoned", "cordon"), ("draining", "drain")] {
        let at = format!("{path}/{what}");
        let set = server.post(&at, Value::Null).await.expect(200).json();
        assert_eq!(set[flag], true, "{set}");
        let seen = server.wait_for(path, "READY").await;
        assert_eq!(seen[flag], true, "{seen}");
        let stale = server.request(Method::DELETE, &at).header("if-match", "\"1\"");
        dispatch_testkit::send(stale).await.expect(412);
        let unset = server.delete(&at).await.expect(200).json();
        assert!(unset[flag].is_null(), "{unset}");
        server.wait_for(path, "READY").await;
    }
    server.post("/v1/engine/none/cordon", Value::Null).await.expect(404);

    // A document that says nothing of them is applied without an end of them.
    for what in ["cordon", "drain"] {
        server.post(&format!("{path}/{what}"), Value::Null).await.expect(200);
    }
    let applied = server.put(path, json!({"type": "wasm", "cost": 2})).await.expect(200).json();
    assert_eq!((&applied["cordoned"], &applied["draining"]), (&json!(true), &json!(true)));
    let ended = json!({"type": "wasm", "cost": 2, "cordoned": false, "draining": false});
    let ended = server.put(path, ended).await.expect(200).json();
    assert!(ended["cordoned"].is_null() && ended["draining"].is_null(), "{ended}");
}

#[tokio::test]
async fn an_engine_of_one_organization_is_not_there_for_another() {
    let iam = Iam::start().await;
    let ask = async |issuer: &str, method: Method, path: &str, body: Value| {
        iam.call(issuer, None, method, path, &body).await
    };
    let limited = json!({"type": "wasm", "organizations": ["acme"]});
    let path = "/v1/engine/wasm";
    ask("other/eve", Method::PUT, path, limited.clone()).await.expect(403);
    ask("acme/admin", Method::PUT, path, limited).await.expect(200);
    ask("other/eve", Method::GET, path, Value::Null).await.expect(404);
    let seen = ask("other/eve", Method::GET, "/v1/engine", Value::Null).await.expect(200);
    assert_eq!(seen.names(), ["process"]);
    let all = ask("acme/admin", Method::GET, "/v1/engine", Value::Null).await.expect(200);
    assert_eq!(all.names(), ["process", "wasm"]);
    for what in ["cordon", "drain"] {
        let path = format!("/v1/engine/process/{what}");
        ask("other/eve", Method::POST, &path, Value::Null).await.expect(403);
    }
    ask("other/eve", Method::DELETE, "/v1/engine/process", Value::Null).await.expect(403);
    let types = ask("other/eve", Method::GET, "/v1/enginetype", Value::Null).await.expect(200);
    assert!(types.names().contains(&"wasm".to_owned()), "{}", types.text);
}

//! One function on several engines: real ones of the remote type, that go away and come back.

use base64::Engine as _;
use dispatch_model::engine::Engine;
use dispatch_model::function::Function;
use dispatch_model::{Name, OrgName, State};
use dispatch_store::{Options, Store};
use dispatch_systems::remote_engine::RemoteEngine;
use dispatch_testkit::{Server, eventually};
use serde_json::{Value, json};

const TOKEN: &str = "canary-token-of-engines";
/// Sleeps as long as its payload says, in seconds.
const SOURCE: &str = "import time\ndef handle(ctx, payload):\n    time.sleep(payload or 0)\n    \
                      return 'done'\n";

/// A server with engines besides its own; all run Python.
async fn with_engines(names: &[&str]) -> (Server, Vec<RemoteEngine>) {
    let server = Server::start().await;
    server.image("python3").await;
    let secret = json!({"name": "engines", "secrets": {"token": TOKEN}});
    server.post("/v1/secret", secret).await.expect(201);
    let mut engines = Vec::new();
    for name in names {
        let engine = RemoteEngine::start(TOKEN);
        let shape = json!({"name": name, "type": "remote", "settings": {"url": engine.url()},
            "secrets": ["engines"], "labels": {"region": name}, "cost": 10});
        server.post("/v1/engine", shape).await.expect(201);
        engines.push(engine);
    }
    for name in names {
        eventually("the engine is healthy", async || {
            let answer = server.get(&format!("/v1/engine/{name}")).await;
            (answer.json()["healthy"] == true).then_some(()).ok_or(answer.text)
        })
        .await;
    }
    (server, engines)
}

fn function(placement: Value) -> Value {
    let source = base64::engine::general_purpose::STANDARD.encode(SOURCE);
    json!({"name": "f", "image": "python3", "handler": "f.handle", "source": source,
        "placement": placement})
}

async fn on(server: &Server, engines: &[&str]) -> Value {
    eventually("the function is where it belongs", async || {
        let answer = server.get("/v1/function/f").await;
        let found = answer.json();
        let mut there: Vec<&str> =
            found["engines"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        there.sort_unstable();
        let mut wanted = engines.to_vec();
        wanted.sort_unstable();
        (found["status"] == "READY" && there == wanted).then_some(found.clone()).ok_or(answer.text)
    })
    .await
}

async fn call(server: &Server, input: Value) -> Value {
    let body = json!({"blocking": true, "input": input});
    server.post("/v1/runs?functionName=f", body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_leave_an_engine_that_is_gone_and_come_back_to_it() {
    let (server, mut engines) = with_engines(&["near", "far"]).await;
    let placement = json!({"engines": ["near", "far"], "strategy": "ordered"});
    let mut shape = function(placement);
    shape["idempotent"] = json!(true);
    server.post("/v1/function", shape).await.expect(201);
    on(&server, &["near", "far"]).await;
    let run = call(&server, json!(0)).await;
    assert_eq!((&run["engine"], &run["version"]), (&json!("near"), &json!(1)), "{run}");
    assert!(run["placement"].as_str().unwrap().starts_with("preferred: "), "{run}");

    engines[0].end();
    for _ in 0..20 {
        let run = call(&server, json!(0)).await;
        assert_eq!((&run["status"], &run["engine"]), (&json!("READY"), &json!("far")), "{run}");
        assert!(run["placement"].as_str().unwrap().starts_with("failover: "), "{run}");
    }
    let report = server.get("/v1/function/f/placement").await.expect(200).json();
    let lines = report["versions"][0]["engines"].as_array().unwrap().clone();
    let near = lines.iter().find(|line| line["engine"] == "near").unwrap();
    assert_eq!((near["role"].as_str(), near["next"].as_bool()), (Some("primary"), Some(false)));
    let why = near["passedOver"].as_str().unwrap();
    assert!(why.contains("unhealthy") || why.contains("left alone"), "{why}");
    let process = lines.iter().find(|line| line["engine"] == "process").unwrap();
    assert_eq!(process["passedOver"], "is not among the placement's engines");

    engines[0].go_on();
    eventually("calls come back", async || {
        let run = call(&server, json!(0)).await;
        (run["engine"] == "near").then_some(()).ok_or(run.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_in_vain_again_and_again_is_written_down_once() {
    let (server, mut engines) = with_engines(&["near", "far"]).await;
    let placement = json!({"engines": ["near", "far"]});
    server.post("/v1/function", function(placement.clone())).await.expect(201);
    on(&server, &["near", "far"]).await;
    engines[1].end();
    let mut changed = function(placement);
    changed["timeout"] = json!(5_000);
    server.put("/v1/function/f", changed).await.expect(200);
    eventually("it is tried a third time", async || {
        let answer = server.get("/v1/function/f").await;
        (answer.text.contains("next try in 4 s")).then_some(()).ok_or(answer.text)
    })
    .await;
    let org = OrgName::trusted("dispatch");
    let store = &server.running().app.store;
    let f = store.by_name::<Function>(&org, &Name::trusted("f")).await.unwrap().unwrap();
    let leaving = &f.status.retiring;
    let newest = f.status.deployed(2).unwrap().faas_id;
    assert_eq!(leaving.iter().filter(|r| r.faas_id == newest).count(), 1, "{leaving:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_may_have_begun_is_not_sent_twice() {
    let (server, mut engines) = with_engines(&["near", "far"]).await;
    let placement = json!({"engines": ["near", "far"]});
    server.post("/v1/function", function(placement)).await.expect(201);
    on(&server, &["near", "far"]).await;
    let long = call(&server, json!(20));
    let ended = async {
        eventually("the call is under way", async || {
            let answer = server.get("/v1/engine/near").await;
            (answer.json()["inFlight"] == 1).then_some(()).ok_or(answer.text)
        })
        .await;
        engines[0].end();
    };
    let (run, ()) = tokio::join!(long, ended);
    assert_eq!((&run["status"], &run["engine"]), (&json!("ERROR"), &json!("near")), "{run}");
    assert_eq!((&run["error"]["type"], &run["attempts"]), (&json!("SystemError"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_for_one_engine_bursts_to_another() {
    let (server, _engines) = with_engines(&["local", "cloud"]).await;
    let mut local = server.get("/v1/engine/local").await.expect(200).json();
    local["maxConcurrency"] = json!(2);
    server.put("/v1/engine/local", local).await.expect(200);
    let placement = json!({"engines": ["local"], "burst": {"to": ["cloud"]}});
    server.post("/v1/function", function(placement)).await.expect(201);
    on(&server, &["local", "cloud"]).await;
    eventually("the limit holds", async || {
        let answer = server.get("/v1/function/f/placement").await;
        let most = &answer.json()["versions"][0]["engines"][0]["maxConcurrency"];
        (*most == 2).then_some(()).ok_or(answer.text)
    })
    .await;
    let runs = futures::future::join_all((0..6).map(|_| call(&server, json!(1)))).await;
    let at = |name: &str| runs.iter().filter(|run| run["engine"] == name).count();
    assert!(at("local") >= 2 && at("cloud") >= 1, "{runs:?}");
    for run in runs.iter().filter(|run| run["engine"] == "cloud") {
        let why = run["placement"].as_str().unwrap();
        assert!(why.starts_with("burst: "), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_cannot_be_made_again_is_drained_all_the_same() {
    let (server, _engines) = with_engines(&["near", "far"]).await;
    let placement = json!({"engines": ["near", "far"], "strategy": "ordered"});
    server.post("/v1/function", function(placement)).await.expect(201);
    on(&server, &["near", "far"]).await;
    server.delete("/v1/secret/engines").await.expect(204);
    server.wait_for("/v1/engine/near", "ERROR").await;
    server.post("/v1/engine/near/drain", Value::Null).await.expect(200);
    on(&server, &["far"]).await;
    assert_eq!(call(&server, json!(0)).await["engine"], "far");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_draining_and_defaults_say_where_a_function_is() {
    let (server, _engines) = with_engines(&["eu", "us"]).await;
    server.post("/v1/function", function(json!({"require": {"region": "eu"}}))).await.expect(201);
    on(&server, &["eu"]).await;
    // Without words of its own the organization's hold.
    let organization = json!({"name": "dispatch", "placement": {"require": {"region": "us"}}});
    server.put("/v1/iam/organization/dispatch", organization).await.expect(200);
    let mut plain = function(Value::Null);
    plain.as_object_mut().unwrap().remove("placement");
    server.put("/v1/function/f", plain).await.expect(200);
    let there = on(&server, &["us"]).await;
    assert_eq!(there["latestVersion"], 1, "where it is makes no version");
    assert_eq!(call(&server, json!(0)).await["engine"], "us");
    // An engine that is drained is left for another that fits.
    let either = json!({"require": {"region": ""}, "engines": ["eu", "us"]});
    server.put("/v1/function/f", function(either)).await.expect(200);
    on(&server, &["eu", "us"]).await;
    let mut eu = server.get("/v1/engine/eu").await.expect(200).json();
    eu["draining"] = json!(true);
    server.put("/v1/engine/eu", eu).await.expect(200);
    on(&server, &["us"]).await;
    assert_eq!(call(&server, json!(0)).await["engine"], "us");
    let nowhere = json!({"require": {"region": "mars"}});
    server.put("/v1/function/f", function(nowhere)).await.expect(200);
    eventually("it says why it is nowhere", async || {
        let answer = server.get("/v1/function/f").await;
        let reason = answer.json()["reason"].to_string();
        let said = reason.contains("eu has the label region: eu, not mars");
        said.then_some(()).ok_or(answer.text)
    })
    .await;
    assert_eq!(call(&server, json!(0)).await["engine"], "us", "what serves goes on");
    let listed = server.get("/v1/engine/us").await.expect(200).text;
    assert!(!listed.contains(TOKEN), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_engine_reaches_what_a_default_places_and_a_lost_one_is_noticed() {
    let (mut server, engines) = with_engines(&["eu"]).await;
    let placement = json!({"require": {"region": "eu"}, "burst": {"to": ["cloud"]}});
    let organization = json!({"name": "dispatch", "placement": placement});
    server.put("/v1/iam/organization/dispatch", organization).await.expect(200);
    let mut plain = function(Value::Null);
    plain.as_object_mut().unwrap().remove("placement");
    server.post("/v1/function", plain).await.expect(201);
    on(&server, &["eu"]).await;
    let cloud = json!({"name": "cloud", "type": "remote", "labels": {"region": "eu"},
        "settings": {"url": engines[0].url()}, "secrets": ["engines"]});
    server.post("/v1/engine", cloud).await.expect(201);
    on(&server, &["cloud", "eu"]).await;
    // After a start nothing was seen of the engines yet.
    server.restart().await;
    server.delete("/v1/engine/cloud?force=true").await.expect(200);
    on(&server, &["eu"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_end_of_a_server_interrupted_is_taken_up_again() {
    let (mut server, engines) = with_engines(&["near", "far"]).await;
    server.post("/v1/function", function(json!({"engines": ["near", "far"]}))).await.expect(201);
    on(&server, &["near", "far"]).await;
    let url = match server.running().app.store.is_sqlite() {
        true => format!("sqlite:{}", server.data_dir().join("dispatch.db").display()),
        false => return,
    };
    server.stop().await;
    // As a server leaves it that is killed while it makes the function on the far engine, right
    // after somebody deleted the near one.
    let store = Store::open(&url, Options::default()).await.unwrap();
    let org = OrgName::trusted("dispatch");
    let found = store.by_name::<Function>(&org, &Name::trusted("f")).await.unwrap();
    let mut f = found.unwrap();
    f.status.deployments[0].making = vec!["far".to_owned()];
    f.meta.state = State::Updating;
    store.update(&mut f).await.unwrap();
    let found = store.by_name::<Engine>(&org, &Name::trusted("near")).await.unwrap();
    let mut near = found.unwrap();
    near.meta.state = State::Deleting;
    near.meta.reason =
        vec!["it goes when no function is on it any more: function dispatch/f".to_owned()];
    store.update(&mut near).await.unwrap();
    store.close().await;
    server.restart().await;
    on(&server, &["far"]).await;
    eventually("the engine goes", async || {
        let answer = server.get("/v1/engine/near").await;
        (answer.status == 404).then_some(()).ok_or(answer.text)
    })
    .await;
    assert_eq!(call(&server, json!(0)).await["engine"], "far");
    drop(engines);
}

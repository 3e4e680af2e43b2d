//! Engines that come, change and go while the server runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};

use super::bed::Bed;
use super::scripted::{World, scripted};

const CANARY: &str = "canary-of-a-token";

fn engine(name: &str, more: Value) -> Value {
    let settings = json!({"gateway": "http://127.0.0.1:1"});
    let mut engine = json!({"name": name, "type": "scripted", "settings": settings});
    for (field, value) in more.as_object().unwrap() {
        engine[field] = value.clone();
    }
    engine
}

/// A server with the engine `lab` and an image whose functions run there.
async fn bed() -> (Bed, Arc<World>) {
    let (types, world) = scripted();
    let bed = Bed::with(String::new(), types).await;
    let secret = json!({"name": "lab", "secrets": {"token": CANARY}});
    bed.insist(Method::POST, "/v1/secret", &secret, None).await;
    bed.insist(Method::POST, "/v1/engine", &engine("lab", json!({"secrets": ["lab"]})), None).await;
    bed.settled("/v1/engine/lab", |lab| lab["status"] == "READY" && lab["healthy"] == true).await;
    let base = json!({"name": "foreign", "dockerUrl": "host:foreign", "language": "foreign"});
    bed.insist(Method::POST, "/v1/baseimage", &base, None).await;
    let image = json!({"name": "foreign", "baseImageName": "foreign"});
    bed.insist(Method::POST, "/v1/image", &image, None).await;
    bed.settled("/v1/image/foreign", |image| image["status"] == "READY").await;
    (bed, world)
}

async fn function(bed: &Bed, name: &str) -> Value {
    let shape = json!({"name": name, "image": "foreign", "source": "aGk="});
    bed.insist(Method::POST, "/v1/function", &shape, None).await;
    let path = format!("/v1/function/{name}");
    bed.settled(&path, |function| function["status"] == "READY").await;
    bed.ask(Method::GET, &path, &Value::Null).await.1
}

async fn call(bed: &Bed, input: &str) -> Value {
    let run = json!({"functionName": "f", "blocking": true, "input": input});
    let (status, run) = bed.ask(Method::POST, "/v1/runs", &run).await;
    assert!(status < 300 && run["status"] == "READY", "{status} {run}");
    run["output"].clone()
}

/// Waits until a new call is answered so.
async fn answers(bed: &Bed, greeting: &str, token: usize) {
    bed.eventually(async || {
        let output = call(bed, "").await;
        let so = output == json!({"greeting": greeting, "token": token});
        so.then_some(()).ok_or(output.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_engine_takes_new_calls_while_those_of_the_old_one_end() {
    let (bed, world) = bed().await;
    function(&bed, "f").await;
    answers(&bed, "hello", CANARY.len()).await;
    let stopped = || world.stopped.load(Ordering::SeqCst);
    let (old, _) = tokio::join!(call(&bed, "hold"), async {
        bed.eventually(async || {
            let held = world.held.load(Ordering::SeqCst);
            (held == 1).then_some(()).ok_or(format!("{held} calls are held"))
        })
        .await;
        let secret = json!({"name": "lab", "secrets": {"token": "short"}});
        bed.insist(Method::PUT, "/v1/secret/lab", &secret, None).await;
        answers(&bed, "hello", "short".len()).await;
        let settings = json!({"gateway": "http://127.0.0.1:1", "greeting": "hi"});
        let changed = engine("lab", json!({"secrets": ["lab"], "settings": settings}));
        bed.insist(Method::PUT, "/v1/engine/lab", &changed, None).await;
        answers(&bed, "hi", "short".len()).await;
        // The one in between had no call that could hold it.
        bed.eventually(async || match stopped() {
            1 => Ok(()),
            n => Err(format!("{n} engines are stopped")),
        })
        .await;
        world.release.add_permits(1);
    });
    assert_eq!(old, json!({"greeting": "hello", "token": CANARY.len()}));
    bed.eventually(async || match stopped() {
        2 => Ok(()),
        n => Err(format!("{n} engines are stopped")),
    })
    .await;
    let made = world.made.load(Ordering::SeqCst);
    let relabelled = json!({"labels": {"region": "eu"}, "secrets": ["lab"], "cost": 7,
        "settings": {"gateway": "http://127.0.0.1:1", "greeting": "hi"}});
    bed.insist(Method::PUT, "/v1/engine/lab", &engine("lab", relabelled), None).await;
    bed.settled("/v1/engine/lab", |lab| lab["status"] == "READY" && lab["cost"] == 7).await;
    assert_eq!(world.made.load(Ordering::SeqCst), made, "labels are no reason to connect anew");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_an_engine_is_refused_by_its_field() {
    let (bed, world) = bed().await;
    let gateway = "http://127.0.0.1:1";
    for (body, field, rule) in [
        (json!({"type": "scriptet"}), "type", "did you mean scripted?"),
        (json!({"type": "test"}), "type", "which has one engine of this type: test"),
        (json!({"settings": {}}), "settings.gateway", "is required"),
        (json!({"settings": {"gatway": gateway}}), "settings.gatway", "did you mean gateway?"),
        (json!({"settings": {"gateway": "lab"}}), "settings.gateway", "must be http://HOST"),
        (
            json!({"settings": {"gateway": gateway, "token": "x"}}),
            "settings.token",
            "by a secret only",
        ),
        (json!({"secrets": ["none"]}), "secrets[0]", "does not exist in organization dispatch"),
        (json!({"labels": {"a b": "c"}}), "labels.a b", "the key must be"),
        (json!({"organizations": ["none"]}), "organizations[0]", "does not exist"),
        (json!({"maxConcurrency": 0}), "maxConcurrency", "1 or more"),
        (json!({"name": "a/b"}), "name", "must match"),
    ] {
        let (status, answer) = bed.ask(Method::POST, "/v1/engine", &engine("x", body)).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!((status, &answer["field"]), (400, &json!(field)), "{answer}");
        assert!(message.contains(rule), "{message}");
    }
    let (status, _) = bed.ask(Method::POST, "/v1/engine", &engine("lab", json!({}))).await;
    assert_eq!(status, 409);
    for (path, body, field) in [
        ("/v1/engine/lab", engine("lab", json!({"type": "test"})), "type"),
        ("/v1/engine/lab", engine("other", json!({})), "name"),
        ("/v1/engine/test", engine("test", json!({"type": "test"})), "settings.gateway"),
    ] {
        let (status, answer) = bed.ask(Method::PUT, path, &body).await;
        assert_eq!((status, &answer["field"]), (400, &json!(field)), "{answer}");
    }
    // What only making it shows is said on the engine; the one before goes on.
    function(&bed, "f").await;
    let settings = json!({"gateway": gateway, "greeting": "refused"});
    let wrong = engine("lab", json!({"settings": settings, "secrets": ["lab"]}));
    bed.insist(Method::PUT, "/v1/engine/lab", &wrong, None).await;
    bed.settled("/v1/engine/lab", |lab| {
        lab["status"] == "ERROR" && lab["reason"][0] == "ENGINE008: greeting and gateway do not fit"
    })
    .await;
    answers(&bed, "hello", CANARY.len()).await;
    assert_eq!(world.stopped.load(Ordering::SeqCst), 0);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_an_engine_needs_is_missed_and_found_again_and_never_shown() {
    let (bed, _) = bed().await;
    function(&bed, "f").await;
    let (status, answer) = bed.ask(Method::DELETE, "/v1/secret/lab?protect=true", &json!({})).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("engine lab"), "{answer}");
    bed.ask(Method::DELETE, "/v1/secret/lab", &Value::Null).await;
    let reason = "secrets[0]: secret lab does not exist in organization dispatch";
    bed.settled("/v1/engine/lab", |lab| lab["status"] == "ERROR" && lab["reason"][0] == reason)
        .await;
    answers(&bed, "hello", CANARY.len()).await;
    let unknown = json!({"name": "lab", "secrets": {"tokn": CANARY}});
    bed.insist(Method::POST, "/v1/secret", &unknown, None).await;
    bed.settled("/v1/engine/lab", |lab| {
        lab["reason"][0].as_str().is_some_and(|reason| reason.starts_with("secrets.tokn: "))
    })
    .await;
    for path in ["/v1/engine", "/v1/engine/lab", "/v1/enginetype", "/metrics", "/readyz"] {
        let (status, answer) = bed.ask(Method::GET, path, &Value::Null).await;
        assert!(status == 200 && !answer.to_string().contains(CANARY), "{status} {answer}");
    }
    let (_, answer) =
        bed.ask(Method::PUT, "/v1/engine/lab", &engine("lab", json!({"secrets": ["lab"]}))).await;
    assert!(answer["field"] == "secrets.tokn" && !answer.to_string().contains(CANARY), "{answer}");
    let good = json!({"name": "lab", "secrets": {"token": CANARY}});
    bed.insist(Method::PUT, "/v1/secret/lab", &good, None).await;
    bed.settled("/v1/engine/lab", |lab| lab["status"] == "READY").await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_goes_when_no_function_is_on_it_any_more() {
    let (bed, world) = bed().await;
    function(&bed, "f").await;
    let path = "/v1/engine/lab";
    let (status, answer) = bed.ask(Method::DELETE, "/v1/engine/lab?protect=true", &json!({})).await;
    assert_eq!((status, &answer["errorCode"]), (409, &json!("API005")), "{answer}");
    let used = "engine lab is used by function dispatch/f";
    assert_eq!(answer["message"], used);
    let (status, answer) = bed.ask(Method::DELETE, path, &Value::Null).await;
    assert_eq!((status, &answer["reason"][0]), (200, &json!(used)), "{answer}");
    let waits = "it goes when no function is on it any more: function dispatch/f";
    bed.settled(path, |lab| lab["status"] == "DELETING" && lab["reason"][0] == waits).await;
    answers(&bed, "hello", CANARY.len()).await;
    let shape = json!({"name": "g", "image": "foreign", "source": "aGk="});
    bed.insist(Method::POST, "/v1/function", &shape, None).await;
    let nowhere = |g: &Value| {
        let reason = g["reason"][0].as_str().unwrap_or_default();
        g["status"] == "ERROR" && reason.starts_with("ENGINE001") && reason.contains("lab is ")
    };
    bed.settled("/v1/function/g", nowhere).await;
    bed.insist(Method::DELETE, "/v1/function/f", &Value::Null, Some(404)).await;
    bed.settled(path, Value::is_null).await;
    bed.eventually(async || match world.stopped.load(Ordering::SeqCst) {
        1 => Ok(()),
        n => Err(format!("{n} engines are stopped")),
    })
    .await;
    let (status, answer) = bed.ask(Method::DELETE, "/v1/engine/test", &Value::Null).await;
    let message = answer["message"].as_str().unwrap();
    assert!(status == 400 && message.contains("cordon it instead"), "{status} {message}");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_gone_for_good_is_forgotten_with_all_that_is_on_it() {
    let (bed, world) = bed().await;
    function(&bed, "f").await;
    world.ill.store(true, Ordering::SeqCst);
    bed.ask(Method::DELETE, "/v1/engine/lab", &Value::Null).await;
    bed.settled("/v1/engine/lab", |lab| lab["status"] == "DELETING").await;
    let (status, gone) = bed.ask(Method::DELETE, "/v1/engine/lab?force=true", &Value::Null).await;
    assert_eq!((status, &gone["status"]), (200, &json!("DELETED")), "{gone}");
    bed.settled("/v1/engine/lab", Value::is_null).await;
    bed.settled("/v1/function/f", |f| f["status"] == "ERROR").await;
    world.ill.store(false, Ordering::SeqCst);
    bed.insist(Method::POST, "/v1/engine", &engine("lab", json!({"secrets": ["lab"]})), None).await;
    bed.settled("/v1/function/f", |f| f["status"] == "READY").await;
    answers(&bed, "hello", CANARY.len()).await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_away_is_said_to_be_and_the_server_serves_on() {
    let (bed, world) = bed().await;
    let metric = async |line: &str| {
        bed.eventually(async || {
            let (_, text) = bed.ask(Method::GET, "/metrics", &Value::Null).await;
            let text = text.as_str().unwrap().to_owned();
            text.lines().any(|found| found == line).then_some(()).ok_or(text)
        })
        .await;
    };
    metric("dispatch_engine_up{engine=\"lab\"} 1").await;
    world.ill.store(true, Ordering::SeqCst);
    bed.settled("/v1/engine/lab", |lab| {
        lab["healthy"] == false
            && lab["message"] == "the gateway is away"
            && lab["status"] == "READY"
    })
    .await;
    metric("dispatch_engine_up{engine=\"lab\"} 0").await;
    let (status, ready) = bed.ask(Method::GET, "/readyz", &Value::Null).await;
    assert_eq!(status, 200, "{ready}");
    let revision =
        async || bed.ask(Method::GET, "/v1/engine/lab", &Value::Null).await.1["revision"].clone();
    let written = revision().await;
    world.ill.store(false, Ordering::SeqCst);
    bed.settled("/v1/engine/lab", |lab| lab["healthy"] == true && lab["revision"] != written).await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cordoned_engine_gets_nothing_new_and_one_of_others_nothing_of_ours() {
    let (bed, _) = bed().await;
    function(&bed, "f").await;
    let on = async |name: &str| {
        let (_, run) = bed
            .ask(Method::POST, "/v1/runs", &json!({"functionName": name, "blocking": true}))
            .await;
        run["engine"].clone()
    };
    assert_eq!(on("f").await, "lab");
    let acme = json!({"name": "acme"});
    bed.insist(Method::POST, "/v1/iam/organization", &acme, None).await;
    let theirs = json!({"organizations": ["acme"]});
    for (name, more) in [("dear", json!({"cost": 9})), ("theirs", theirs)] {
        bed.insist(Method::POST, "/v1/engine", &engine(name, more), None).await;
        let path = format!("/v1/engine/{name}");
        bed.settled(&path, |engine| engine["status"] == "READY").await;
    }
    bed.insist(Method::POST, "/v1/engine/lab/cordon", &Value::Null, None).await;
    bed.settled("/v1/engine/lab", |lab| lab["cordoned"] == true && lab["status"] == "READY").await;
    function(&bed, "g").await;
    assert_eq!(on("g").await, "dear");
    assert_eq!(on("f").await, "lab", "what is there goes on");
    bed.insist(Method::DELETE, "/v1/engine/lab/cordon", &Value::Null, None).await;
    bed.settled("/v1/engine/lab", |lab| lab["cordoned"].is_null() && lab["status"] == "READY")
        .await;
    function(&bed, "h").await;
    assert_eq!(on("h").await, "lab");
    let shape = json!({"name": "i", "image": "foreign", "source": "aGk=", "engine": "theirs"});
    bed.insist(Method::POST, "/v1/function", &shape, None).await;
    bed.settled("/v1/function/i", |i| i["status"] == "ERROR").await;
    let (_, i) = bed.ask(Method::GET, "/v1/function/i", &Value::Null).await;
    let reason = i["reason"][0].as_str().unwrap();
    assert!(reason.starts_with("ENGINE001: engine theirs is not known; "), "{reason}");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_updating_while_it_moves_also_when_a_version_waits_for_its_rollout() {
    let (bed, world) = bed().await;
    let shape = |source: &str| {
        let placement = json!({"engines": ["lab"], "burst": {"to": ["labb"]}});
        json!({"name": "f", "image": "foreign", "source": source, "placement": placement})
    };
    let path = "/v1/function/f";
    bed.insist(Method::POST, "/v1/function", &shape("aGk="), None).await;
    let unknown = "engine labb of burst.to is not known, did you mean lab?";
    let ready = |f: &Value| f["status"] == "READY";
    bed.settled(path, |f| ready(f) && f["reason"] == json!([unknown])).await;
    bed.insist(Method::PUT, path, &shape("aG8="), None).await;
    bed.settled(path, |f| ready(f) && f["version"] == 2).await;
    bed.insist(Method::POST, "/v1/function/f/rollout", &json!({"version": 1}), None).await;
    let waits = "version 2 waits for its rollout; version 1 takes the calls";
    bed.settled(path, |f| ready(f) && f["reason"] == json!([waits, unknown])).await;
    world.slow.store(true, Ordering::SeqCst);
    bed.insist(Method::POST, "/v1/engine", &engine("labb", json!({})), None).await;
    bed.settled(path, |f| f["status"] == "UPDATING").await;
    world.slow.store(false, Ordering::SeqCst);
    world.release.add_permits(9);
    let there = json!(["lab", "labb"]);
    bed.settled(path, |f| ready(f) && f["reason"] == json!([waits]) && f["engines"] == there).await;
    bed.stop().await;
}

//! What is OpenFaaS's own: words of its API, signing in, scaling, and its queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dispatch_driver::conformance::{Bed as _, Program};
use dispatch_driver::{Call, Config, Deployment, Engine, Error, Fault, Observed, Outcome, Reached};
use dispatch_systems::openfaas::{Flavour, NAMESPACES, OpenFaas, PASSWORD, TOKEN, USER};
use serde_json::{Value, json};
use uuid::Uuid;

use super::bed::{Gateway, make, openfaas, queued};

fn call(payload: Value) -> Call {
    Call {
        run_id: Uuid::now_v7(),
        context: Bytes::from_static(b"{}"),
        payload: payload.to_string().into(),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

fn name(deployment: &Deployment) -> String {
    format!("dispatch-{}", deployment.id.simple())
}

fn answer(outcome: Outcome) -> Value {
    serde_json::from_str(outcome.result.unwrap().get()).unwrap()
}

async fn refused(settings: &[(&str, &str)], secrets: &[(&str, &str)]) -> String {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let mut settings = pairs(settings);
    settings.insert("gateway".to_owned(), "http://127.0.0.1:1".to_owned());
    make(&settings, &pairs(secrets)).await.err().expect("it is refused").message
}

/// One request to the gateway beside the engine.
async fn ask(openfaas: &OpenFaas, method: &str, path: &str, body: Value) -> u16 {
    let method = method.parse().unwrap();
    let request = reqwest::Client::new().request(method, format!("{}{path}", openfaas.url()));
    let answer = request.basic_auth(USER, Some(PASSWORD)).json(&body).send().await.unwrap();
    answer.status().as_u16()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_made_in_openfaas_words() {
    let Some(gateway) = Gateway::start(Flavour::Kubernetes, &[]).await else { return };
    let sent = json!({"name": "shared", "namespace": NAMESPACES[1], "value": "x"});
    assert_eq!(ask(&gateway.openfaas, "POST", "/system/secrets", sent).await, 202);
    let settings = [("namespace", NAMESPACES[1]), ("secrets", "shared"), ("maxReplicas", "4")];
    let engine = gateway.other(&settings, &[("token", TOKEN)]).await.unwrap();
    let mut deployment = gateway.deployment(Program::Conformance).await.unwrap();
    deployment.environment.insert("WORD".to_owned(), "a word".to_owned());
    deployment.require.insert("gpu".to_owned(), "a100".to_owned());
    engine.build(&deployment).await.unwrap();
    let outcome = engine.invoke(deployment.id, call(json!({"environment": "WORD"}))).await;
    assert_eq!(answer(outcome.unwrap()), "a word");

    let (spec, replicas) = gateway.openfaas.function(NAMESPACES[1], &name(&deployment)).unwrap();
    assert_eq!(replicas, 1);
    let health = "/healthz";
    let expected = json!({
        "service": name(&deployment),
        "image": deployment.function_image,
        "namespace": NAMESPACES[1],
        "envVars": {"WORD": "a word", "DISPATCH_CONCURRENCY": "4"},
        "labels": {
            "app.kubernetes.io/managed-by": "dispatch",
            "io.dispatch/organization": "conformance",
            "io.dispatch/function": "conformance",
            "io.dispatch/version": "1",
            "io.dispatch/deployment": deployment.id.to_string(),
            "com.openfaas.scale.min": "1",
            "com.openfaas.scale.max": "4",
            "com.openfaas.scale.type": "capacity",
            "com.openfaas.scale.target": "4",
        },
        "annotations": {
            "com.openfaas.health.http.path": health, "com.openfaas.ready.http.path": health,
        },
        "constraints": ["gpu=a100"],
        "secrets": ["shared"],
        "limits": {"memory": "256Mi"},
    });
    assert_eq!(spec, expected);
    engine.remove(deployment.id).await.unwrap();
    assert!(gateway.openfaas.function(NAMESPACES[1], &name(&deployment)).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_made_leaves_nothing_and_says_why() {
    let settings = [("buildTimeout", "3s")];
    let Some(gateway) = Gateway::start(Flavour::Kubernetes, &settings).await else { return };
    let engine = gateway.engine();
    let mut deployment = Program::Conformance.deployment("python3");
    let why = engine.build(&deployment).await.unwrap_err();
    assert_eq!((why.code, why.fault), ("ENGINE001", Fault::Caller), "{why}");

    let digest = "0".repeat(64);
    let image = gateway.image(Program::Conformance).await;
    let repository = image.split_once('@').unwrap().0;
    deployment.function_image = Some(format!("{repository}@sha256:{digest}"));
    let why = engine.build(&deployment).await.unwrap_err();
    assert_eq!((why.code, why.fault), ("ENGINE006", Fault::Backend), "{why}");
    assert!(why.message.contains("can the cluster pull its image?"), "{why}");
    assert!(gateway.openfaas.function(NAMESPACES[0], &name(&deployment)).is_none());

    deployment.function_image = Some(image);
    let secrets = [("password", PASSWORD)];
    let engine = gateway.other(&[("secrets", "forgotten")], &secrets).await.unwrap();
    let why = engine.build(&deployment).await.unwrap_err();
    assert_eq!((why.code, why.fault), ("ENGINE006", Fault::Backend), "{why}");
    assert!(why.message.contains("forgotten"), "{why}");
    assert_eq!(engine.observe(deployment.id).await.unwrap(), Observed::Absent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_scaled_to_zero_is_woken_by_its_call() {
    let settings = [("minReplicas", "0")];
    let Some(gateway) = Gateway::start(Flavour::Kubernetes, &settings).await else { return };
    let engine = gateway.engine();
    let deployment = gateway.deployment(Program::Conformance).await.unwrap();
    engine.build(&deployment).await.unwrap();
    let (spec, _) = gateway.openfaas.function(NAMESPACES[0], &name(&deployment)).unwrap();
    assert_eq!(spec["labels"]["com.openfaas.scale.zero"], "true");
    assert_eq!(spec["labels"]["com.openfaas.scale.zero-duration"], "60s");

    let path = format!("/system/scale-function/{}", name(&deployment));
    assert_eq!(ask(&gateway.openfaas, "POST", &path, json!({"replicas": 0})).await, 202);
    until("no replica is left", async || {
        engine.observe(deployment.id).await.unwrap() == Observed::Ready { workers: 0 }
    })
    .await;
    let outcome = engine.invoke(deployment.id, call(json!({"echo": "awake"}))).await.unwrap();
    assert_eq!(answer(outcome), "awake");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_what_stands_behind_and_what_is_wrong() {
    let Some(gateway) = Gateway::start(Flavour::Faasd, &[]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token").display().to_string();
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let health = async |settings: &[(&str, &str)], secrets: &[(&str, &str)]| {
        gateway.other(settings, secrets).await.unwrap().health().await
    };
    let right = health(&[("tokenFile", &file)], &[]).await;
    assert!(right.ok && right.message.contains("faasd"), "{right:?}");
    let right = health(&[], &[("token", TOKEN)]).await;
    assert!(right.ok, "{right:?}");
    for (settings, secrets, words) in [
        (&[][..], &[("password", "no-such-password")][..], "password"),
        (&[], &[], "password"),
        (&[("namespace", "nowhere")], &[("password", PASSWORD)], "nowhere"),
        (&[("tokenFile", "/no/such/file")], &[], "/no/such/file"),
    ] {
        let wrong = health(settings, secrets).await;
        assert!(!wrong.ok && wrong.message.contains(words), "{wrong:?}");
        assert!(!wrong.message.contains("no-such-password"), "{wrong:?}");
    }
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_refused() {
    let why = refused(&[("async", "true")], &[]).await;
    assert!(why.contains("callbackListen") && why.contains("callbackUrl"), "{why}");
    let why = refused(&[("callbackUrl", "http://127.0.0.1:1")], &[]).await;
    assert!(why.contains("async"), "{why}");
    let why = refused(&[], &[("password", "one"), ("token", "two")]).await;
    assert!(why.contains("three ways") && !why.contains("two "), "{why}");
    let why = refused(&[("minReplicas", "3"), ("maxReplicas", "2")], &[]).await;
    assert!(why.contains("maxReplicas"), "{why}");
    let why = refused(&[("caFile", "/no/such/file")], &[]).await;
    assert!(why.contains("/no/such/file"), "{why}");
    let settings = BTreeMap::from([("gatway".to_owned(), "http://127.0.0.1:1".to_owned())]);
    let why = Config::check("faas", openfaas().known(), settings, BTreeMap::new());
    assert!(why.err().unwrap().to_string().contains("did you mean gateway?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_brings_answers_to_those_who_wait_only() {
    let queued = queued();
    let queued: Vec<_> = queued.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let Some(gateway) = Gateway::start(Flavour::Kubernetes, &queued).await else { return };
    let engine = gateway.engine();
    let deployment = gateway.deployment(Program::Conformance).await.unwrap();
    engine.build(&deployment).await.unwrap();
    let outcome = engine.invoke(deployment.id, call(json!({"print": "said", "echo": 1}))).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.logs.stdout, ["said out"]);
    assert_eq!(answer(outcome), 1);

    // One whose settings changed takes answers at the same address, beside the calls of the old.
    let also = gateway.other(&queued, &[("password", PASSWORD)]).await.unwrap();
    also.ensure(&deployment).await.unwrap();
    let slow = call(json!({"sleep_ms": 300, "echo": "old"}));
    let (old, new) = tokio::join!(
        engine.invoke(deployment.id, slow),
        also.invoke(deployment.id, call(json!({"echo": "new"})))
    );
    assert_eq!((answer(old.unwrap()), answer(new.unwrap())), (json!("old"), json!("new")));

    let (_, url) = queued.iter().find(|(key, _)| *key == "callbackUrl").unwrap();
    let nobody = reqwest::Client::new().post(format!("{url}/{}", Uuid::new_v4()));
    let nobody = nobody.body(r#"{"context": {"error": null}, "payload": 2}"#).send().await;
    assert_eq!(nobody.unwrap().status().as_u16(), 404);

    let path = format!("/system/functions?namespace={}", NAMESPACES[0]);
    let sent = json!({"functionName": name(&deployment)});
    assert_eq!(ask(&gateway.openfaas, "DELETE", &path, sent).await, 202);
    let lost = engine.invoke(deployment.id, call(json!({"echo": 1}))).await.unwrap_err();
    assert_unknown(&lost);
    // It is made again, since OpenFaaS has lost it.
    engine.ensure(&deployment).await.unwrap();
    let outcome = engine.invoke(deployment.id, call(json!({"echo": 3}))).await.unwrap();
    assert_eq!(answer(outcome), 3);
}

fn assert_unknown(error: &Error) {
    assert_eq!((error.code, error.reached), ("ENGINE007", Reached::No), "{error}");
}

/// Nothing is asked of the gateway besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_needs_one_request() {
    let Some(gateway) = Gateway::start(Flavour::Kubernetes, &[]).await else { return };
    let engine: Arc<dyn Engine> = gateway.engine();
    let deployment = gateway.deployment(Program::Conformance).await.unwrap();
    engine.build(&deployment).await.unwrap();
    let before = gateway.openfaas.requests();
    for n in 0..20 {
        let outcome = engine.invoke(deployment.id, call(json!({"echo": n}))).await.unwrap();
        assert_eq!(answer(outcome), n);
    }
    assert_eq!(gateway.openfaas.requests() - before, 20);
}

//! What is special to Lambda.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dispatch_driver::conformance::{Bed, Program};
use dispatch_driver::{Call, Fault, Observed, Outcome, Reached, Retry};
use dispatch_model::code;
use dispatch_systems::aws::{Moto, REGION};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bed::{Local, Sources, make, pairs};

fn call(payload: &Value) -> Call {
    Call {
        run_id: Uuid::now_v7(),
        context: Bytes::from_static(b"{}"),
        payload: payload.to_string().into(),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

fn value(outcome: Outcome) -> Value {
    serde_json::from_str(outcome.result.unwrap().get()).unwrap()
}

fn name(id: Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

#[tokio::test]
async fn boto3_sees_what_was_made_and_calls_it() {
    let more = [
        ("tags", "team=shop"),
        ("ephemeralStorageMib", "1024"),
        ("architecture", "arm64"),
        ("reserveConcurrency", "true"),
    ];
    let Some(local) = Local::new("python3", &more).await else { return };
    let mut deployment = local.deployment(Program::Conformance).await.unwrap();
    deployment.environment.insert("WORD".to_owned(), "wörd".to_owned());
    deployment.timeout = Duration::from_millis(1500);
    deployment.memory_mib = 64;
    local.engine().build(&deployment).await.unwrap();
    let name = name(deployment.id);
    let seen = local.boto3("get_function", json!({"FunctionName": name})).await;
    let configuration = &seen["Configuration"];
    assert_eq!(configuration["Timeout"], 3, "{configuration}");
    assert_eq!(configuration["MemorySize"], 128);
    assert_eq!(configuration["EphemeralStorage"]["Size"], 1024);
    assert_eq!(configuration["Architectures"], json!(["arm64"]));
    assert_eq!(configuration["Runtime"], "python3.13");
    assert_eq!(configuration["Environment"]["Variables"]["WORD"], "wörd");
    let tags = json!({
        "io.dispatch/organization": "conformance",
        "io.dispatch/function": "conformance",
        "io.dispatch/version": "1",
        "io.dispatch/deployment": deployment.id,
        "app.kubernetes.io/managed-by": "dispatch",
        "team": "shop",
    });
    assert_eq!(seen["Tags"], tags);
    assert_eq!(seen["Concurrency"]["ReservedConcurrentExecutions"], 4);
    let alias = local.boto3("get_alias", json!({"FunctionName": name, "Name": "live"})).await;
    assert_eq!(alias["FunctionVersion"], "1");
    let event = json!({"context": {}, "payload": {"echo": "from boto3"}}).to_string();
    let arguments = json!({"FunctionName": name, "Qualifier": "live", "Payload": event});
    let answer = local.boto3("invoke", arguments).await;
    assert_eq!(answer["Payload"]["payload"], "from boto3", "{answer}");
    assert_eq!(answer["ExecutedVersion"], "1");
}

#[tokio::test]
async fn what_was_left_half_made_is_made_whole() {
    let Some(local) = Local::new("python3", &[]).await else { return };
    let deployment = local.built().await;
    let function = name(deployment.id);
    // As if the server had died before the alias, with an older host in the archive.
    local.boto3("delete_alias", json!({"FunctionName": function, "Name": "live"})).await;
    let other = json!({"FunctionName": function, "Timeout": 77});
    local.boto3("update_function_configuration", other).await;
    let engine = local.another().await;
    assert_eq!(engine.observe(deployment.id).await.unwrap(), Observed::Absent);
    engine.ensure(&deployment).await.unwrap();
    let seen = local.boto3("get_function", json!({"FunctionName": function})).await;
    assert_eq!(seen["Configuration"]["Timeout"], 61);
    let alias = local.boto3("get_alias", json!({"FunctionName": function, "Name": "live"})).await;
    assert_ne!(alias["FunctionVersion"], "$LATEST");
    let outcome = engine.invoke(deployment.id, call(&json!({"echo": 1}))).await.unwrap();
    assert_eq!(value(outcome), 1);
}

#[tokio::test]
async fn a_function_that_somebody_deleted_is_unknown_until_it_is_ensured() {
    let Some(local) = Local::new("python3", &[]).await else { return };
    let deployment = local.built().await;
    local.boto3("delete_function", json!({"FunctionName": name(deployment.id)})).await;
    let engine = local.engine();
    let error = engine.invoke(deployment.id, call(&json!({"echo": 1}))).await.unwrap_err();
    assert_eq!((error.code, error.reached), (code::ENGINE007, Reached::No), "{error}");
    engine.ensure(&deployment).await.unwrap();
    let outcome = engine.invoke(deployment.id, call(&json!({"echo": 1}))).await.unwrap();
    assert_eq!(value(outcome), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_room_says_so_before_the_handler() {
    let variables = &[("LAMBDA_ACCOUNT_CONCURRENCY", "1")];
    let Some(local) = Local::with("python3", &[], variables).await else { return };
    let deployment = local.built().await;
    let engine = local.engine();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (engine, id) = (engine.clone(), deployment.id);
            let slow = call(&json!({"sleep_ms": 1_000, "echo": "slow"}));
            tokio::spawn(async move { engine.invoke(id, slow).await })
        })
        .collect();
    let mut refused = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(outcome) => assert_eq!(value(outcome), "slow"),
            Err(error) => refused.push(error),
        }
    }
    assert!((1..4).contains(&refused.len()), "{refused:?}");
    for error in refused {
        assert_eq!((error.code, error.fault), (code::ENGINE005, Fault::Backend), "{error}");
        assert_eq!(error.reached, Reached::No);
        assert!(matches!(error.retry, Retry::After(_)), "{:?}", error.retry);
    }
}

#[tokio::test]
async fn health_says_what_is_wrong() {
    let Some(local) = Local::new("python3", &[]).await else { return };
    let mut secrets = local.secrets.clone();
    secrets.extend(pairs(&[("secretAccessKey", "another")]));
    let wrong = make(local.settings.clone(), secrets, local.sources.clone()).await.unwrap();
    let health = wrong.health().await;
    assert!(!health.ok && health.message.contains("InvalidSignature"), "{}", health.message);
    assert!(!health.message.contains("another"), "{}", health.message);
    let mut settings = local.settings.clone();
    settings.extend(pairs(&[("endpoint", "http://127.0.0.1:1")]));
    let away = make(settings, local.secrets.clone(), local.sources.clone()).await.unwrap();
    let health = away.health().await;
    assert!(!health.ok && health.message.contains("eu-central-1"), "{}", health.message);
}

#[tokio::test]
async fn what_lambda_cannot_do_is_said_before_anything_is_made() {
    let Some(local) = Local::new("python3", &[]).await else { return };
    let engine = local.engine();
    let deployment = local.deployment(Program::Conformance).await.unwrap();
    let hour = Duration::from_secs(3600);
    for (wrong, words) in [
        (dispatch_driver::Deployment { timeout: hour, ..deployment.clone() }, "900 s"),
        (dispatch_driver::Deployment { memory_mib: 20_000, ..deployment.clone() }, "10240 MiB"),
        (
            dispatch_driver::Deployment { language: "java".to_owned(), ..deployment.clone() },
            "no runtime of its own for java",
        ),
        (
            dispatch_driver::Deployment {
                image_digest: Some("sha256:00".to_owned()),
                ..deployment.clone()
            },
            "an archive cannot hold",
        ),
    ] {
        let error = engine.build(&wrong).await.unwrap_err();
        assert_eq!((error.code, error.fault), (code::ENGINE001, Fault::Caller), "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    assert_eq!(engine.observe(deployment.id).await.unwrap(), Observed::Absent);
    let built = local.built().await;
    let large = call(&json!({"length": "x".repeat(6 << 20)}));
    let error = engine.invoke(built.id, large).await.unwrap().result.unwrap_err();
    assert!(error.message.contains("6291456 in one request"), "{}", error.message);
}

/// Moto holds no signature against anything, and runs each call in a container of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_runs_the_archive_in_a_container() {
    let Some(moto) = tokio::task::spawn_blocking(Moto::start).await.unwrap() else { return };
    let sources = Arc::new(Sources::default());
    let settings = pairs(&[
        ("region", REGION),
        ("role", "arn:aws:iam::123456789012:role/dispatch-functions"),
        ("endpoint", &moto.url),
    ]);
    let secrets = pairs(&[("accessKeyId", "A"), ("secretAccessKey", "S")]);
    let engine = make(settings, secrets, sources.clone()).await.unwrap();
    let source_digest = sources.put(Program::Conformance.source("python3").unwrap());
    let mut deployment = Program::Conformance.deployment("python3");
    deployment.source_digest = source_digest;
    deployment.environment.insert("WORD".to_owned(), "wörd".to_owned());
    engine.build(&deployment).await.unwrap();
    let id = deployment.id;
    let outcome = engine.invoke(id, call(&json!({"print": "said", "echo": "ü"}))).await.unwrap();
    assert_eq!(outcome.logs.stdout, ["said out"]);
    assert_eq!(value(outcome), "ü");
    let outcome = engine.invoke(id, call(&json!({"environment": "WORD"}))).await.unwrap();
    assert_eq!(value(outcome), "wörd");
    let outcome = engine.invoke(id, call(&json!({"exit": 7}))).await.unwrap();
    let error = outcome.result.unwrap_err();
    assert!(error.message.contains("exit status 7"), "{}", error.message);
    engine.remove(id).await.unwrap();
    assert_eq!(engine.observe(id).await.unwrap(), Observed::Absent);
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_named() {
    let whole = [("region", "eu-central-1"), ("role", "arn:aws:iam::1:role/r")];
    for (more, secrets, words) in [
        (("region", "EU"), &[][..], "`region` is \"EU\""),
        (("subnets", "subnet-1"), &[], "securityGroups"),
        (("ephemeralStorageMib", "1"), &[], "512 to 10240"),
        (("tags", "shop"), &[], "NAME=VALUE"),
        (("profile", "x"), &[("accessKeyId", "A")], "secretAccessKey"),
    ] {
        let mut settings = pairs(&whole);
        settings.extend(pairs(&[more]));
        let made = make(settings, pairs(secrets), Arc::default()).await;
        let error = made.map(|_| ()).unwrap_err();
        assert_eq!((error.code, error.fault), (code::ENGINE008, Fault::Caller));
        assert!(error.message.contains(words), "{error}");
    }
}

//! The driver of Knative Serving.

use std::time::{Duration, Instant};

use dispatch_driver::conformance::Program;
use dispatch_driver::{Fault, Observed};
use dispatch_systems::kubernetes::controller::{Mode, kinds};
use serde_json::{Value, json};

use crate::ground::{conforms, echoed, turn, until};

fn name(id: uuid::Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_through_the_ingress() {
    conforms("knative", |ground| vec![ground.ingress()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_has_what_the_deployment_asks_for() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let text = str::to_owned;
    let settings =
        [ground.ingress(), ("minScale", text("1")), ("nodeLabelPrefix", text("example.org/"))];
    let engine = ground.engine("knative", &settings).await;
    let mut deployment = ground.deployment(Program::Conformance).await;
    deployment.timeout = Duration::from_millis(1_500);
    deployment.environment.insert("WORD".to_owned(), "wörd".to_owned());
    deployment.environment.insert("PORT".to_owned(), "1".to_owned());
    deployment.require.insert("gpu".to_owned(), "a100".to_owned());
    engine.build(&deployment).await.unwrap();
    let made = ground.kubernetes.api();
    let made = made.get(kinds::KNATIVE_SERVICES, "default", &name(deployment.id)).await.unwrap();
    let template = &made["spec"]["template"];
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["autoscaling.knative.dev/min-scale"], "1");
    assert_eq!(annotations["autoscaling.knative.dev/max-scale"], "10");
    let spec = &template["spec"];
    assert_eq!(spec["containerConcurrency"], 4);
    assert_eq!(spec["timeoutSeconds"], 7);
    assert_eq!(spec["nodeSelector"], json!({"example.org/gpu": "a100"}));
    let container = &spec["containers"][0];
    assert_eq!(container["resources"]["limits"], json!({"memory": "256Mi"}));
    let environment = container["env"].as_array().unwrap();
    let word = json!({"name": "WORD", "value": "wörd"});
    assert!(environment.contains(&word), "{environment:?}");
    assert!(environment.iter().all(|variable| variable["name"] != "PORT"), "{environment:?}");
    assert_eq!(made["metadata"]["labels"]["io.dispatch/function"], "conformance");
    engine.remove(deployment.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_wakes_a_function_that_has_no_pods() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let engine = ground.engine("knative", &[ground.ingress()]).await;
    let mut deployment = ground.deployment(Program::Conformance).await;
    deployment.idle = Duration::from_secs(1);
    engine.build(&deployment).await.unwrap();
    let api = ground.kubernetes.api();
    let label = name(deployment.id);
    let none = async || {
        let pods = api.list(kinds::PODS).await.ok()?;
        let all = pods["items"].as_array()?;
        let own = |pod: &&Value| pod["metadata"]["labels"]["io.dispatch/deployment"] == *label;
        (all.iter().filter(own).count() == 0).then_some(())
    };
    until("an idle function has no pods", none).await;
    let seen = engine.observe(deployment.id).await.unwrap();
    assert!(matches!(seen, Observed::Ready { .. }), "{seen:?}");
    assert_eq!(echoed(&engine, deployment.id, json!("awake")).await, "awake");
    engine.remove(deployment.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_service_is_waited_for_and_one_too_slow_is_removed() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let engine = ground.engine("knative", &[ground.ingress()]).await;
    let slow = ground.deployment(Program::Conformance).await;
    let time = Duration::from_secs(3);
    ground.controller.behave(&name(slow.id), Mode::Slow(time));
    let begun = Instant::now();
    engine.build(&slow).await.unwrap();
    // Kubernetes tells when it made something in whole seconds.
    assert!(begun.elapsed() > time - Duration::from_secs(1), "{:?}", begun.elapsed());
    engine.remove(slow.id).await.unwrap();

    let hasty = [ground.ingress(), ("readyTimeout", "2s".to_owned())];
    let hasty = ground.engine("knative", &hasty).await;
    let slower = ground.deployment(Program::Conformance).await;
    ground.controller.behave(&name(slower.id), Mode::Slow(Duration::from_secs(60)));
    let error = hasty.build(&slower).await.unwrap_err();
    assert_eq!((error.code, error.fault), ("ENGINE006", Fault::Backend));
    assert!(error.message.contains("not ready after 2 s"), "{}", error.message);
    assert_eq!(hasty.observe(slower.id).await.unwrap(), Observed::Absent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_flaps_is_built_and_its_state_is_told() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let engine = ground.engine("knative", &[ground.ingress()]).await;
    let deployment = ground.deployment(Program::Conformance).await;
    let id = deployment.id;
    ground.controller.behave(&name(id), Mode::Flapping(Duration::from_secs(2)));
    engine.build(&deployment).await.unwrap();
    let failed = async || match engine.observe(id).await.unwrap() {
        Observed::Failed { message } => Some(message),
        _ => None,
    };
    let message = until("it is seen to fail", failed).await;
    assert!(message.contains("RevisionFailed: Revision failed with"), "{message}");
    let ready = async || match engine.observe(id).await.unwrap() {
        Observed::Ready { .. } => Some(()),
        _ => None,
    };
    until("it is ready again", ready).await;
    engine.remove(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_cannot_be_pulled_fails_with_the_words_of_the_cluster() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let engine = ground.engine("knative", &[ground.ingress()]).await;
    let mut deployment = ground.deployment(Program::Conformance).await;
    let image = deployment.function_image.take().unwrap();
    let (repository, _) = image.split_once('@').unwrap();
    deployment.function_image = Some(format!("{repository}@sha256:{}", "0".repeat(64)));
    let error = engine.build(&deployment).await.unwrap_err();
    assert_eq!((error.code, error.fault), ("ENGINE006", Fault::Backend));
    assert!(error.message.contains("manifest unknown"), "{}", error.message);
    assert_eq!(engine.observe(deployment.id).await.unwrap(), Observed::Absent);
}

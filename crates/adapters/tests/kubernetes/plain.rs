//! The driver of plain Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::conformance::Program;
use dispatch_driver::{Fault, Observed, Reached};
use dispatch_systems::kubernetes::controller::{Mode, kinds};
use serde_json::json;

use crate::ground::{conforms, echo, echoed, turn, until};

fn name(id: uuid::Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

fn proxy() -> (&'static str, String) {
    ("reach", "proxy".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_through_the_proxy() {
    conforms("kubernetes", |_| vec![proxy()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_called_through_an_ingress_and_scaled_by_its_bounds() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let text = str::to_owned;
    let settings = [
        ground.ingress(),
        ("reach", text("ingress")),
        ("ingressDomain", text("functions.example.org")),
        ("minScale", text("2")),
    ];
    let engine = ground.engine("kubernetes", &settings).await;
    let deployment = ground.deployment(Program::Conformance).await;
    engine.build(&deployment).await.unwrap();
    assert_eq!(echoed(&engine, deployment.id, json!(1)).await, 1);
    let both = async || {
        let seen = engine.observe(deployment.id).await.unwrap();
        (seen == Observed::Ready { workers: 2 }).then_some(())
    };
    until("there are two pods", both).await;
    engine.remove(deployment.id).await.unwrap();
    let api = ground.kubernetes.api();
    for kind in [kinds::INGRESSES, kinds::SERVICES, kinds::AUTOSCALERS, kinds::DEPLOYMENTS] {
        let left = api.get(kind, "default", &name(deployment.id)).await;
        assert!(left.is_err_and(|refusal| refusal.is(http::StatusCode::NOT_FOUND)), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_others_stay_theirs_and_ours_come_back() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let engine = ground.engine("kubernetes", &[proxy()]).await;
    let deployment = ground.deployment(Program::Conformance).await;
    engine.build(&deployment).await.unwrap();
    let api = ground.kubernetes.api();
    let (kind, name) = (kinds::DEPLOYMENTS, name(deployment.id));
    // Somebody adds a field, and takes one of ours by force.
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": "default",
            "annotations": {"example.org/owner": "them", "io.dispatch/version": "77"},
        },
    });
    api.apply(kind, &theirs, "somebody").await.unwrap();
    engine.build(&deployment).await.unwrap();
    let after = api.get(kind, "default", &name).await.unwrap();
    let annotations = &after["metadata"]["annotations"];
    assert_eq!(annotations["example.org/owner"], "them");
    assert_eq!(annotations["io.dispatch/version"], "1");
    engine.remove(deployment.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_build_the_same_deployment_and_either_removes_it() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let one = ground.engine("kubernetes", &[proxy()]).await;
    let other = ground.engine("kubernetes", &[proxy()]).await;
    let deployment = ground.deployment(Program::Conformance).await;
    let (first, second) = tokio::join!(one.build(&deployment), other.build(&deployment));
    first.unwrap();
    second.unwrap();
    assert_eq!(echoed(&one, deployment.id, json!("one")).await, "one");
    assert_eq!(echoed(&other, deployment.id, json!("other")).await, "other");
    other.remove(deployment.id).await.unwrap();
    // The first learns it from the cluster, before anything is sent to a pod.
    let error = one.invoke(deployment.id, echo(&json!(1))).await.unwrap_err();
    assert_eq!((error.code, error.reached), ("ENGINE007", Reached::No), "{}", error.message);
    one.ensure(&deployment).await.unwrap();
    assert_eq!(echoed(&one, deployment.id, json!("again")).await, "again");
    one.remove(deployment.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_outlives_the_server_it_watches() {
    let Some(turn) = turn().await else { return };
    let ground = Arc::clone(&turn.ground);
    let engine = ground.engine("kubernetes", &[proxy()]).await;
    let deployment = ground.deployment(Program::Conformance).await;
    ground.controller.behave(&name(deployment.id), Mode::Slow(Duration::from_secs(4)));
    let api = ground.kubernetes.api();
    let restart = async {
        let made = async || api.get(kinds::DEPLOYMENTS, "default", &name(deployment.id)).await.ok();
        until("the deployment is made", made).await;
        let ground = Arc::clone(&ground);
        let again = tokio::task::spawn_blocking(move || {
            ground.kubernetes.stop();
            ground.kubernetes.go_on();
        });
        again.await.unwrap();
    };
    let (built, ()) = tokio::join!(engine.build(&deployment), restart);
    built.unwrap();
    assert_eq!(echoed(&engine, deployment.id, json!("well")).await, "well");
    engine.remove(deployment.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_place_or_no_image_fails_with_the_words_of_the_cluster() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let engine = ground.engine("kubernetes", &[proxy(), ("readyTimeout", "4s".to_owned())]).await;
    let mut placeless = ground.deployment(Program::Conformance).await;
    placeless.require.insert("gpu".to_owned(), "h100".to_owned());
    let error = engine.build(&placeless).await.unwrap_err();
    assert_eq!((error.code, error.fault), ("ENGINE006", Fault::Backend));
    assert!(error.message.contains("didn't match node selector"), "{}", error.message);

    let mut lost = ground.deployment(Program::Conformance).await;
    let image = lost.function_image.take().unwrap();
    let (repository, _) = image.split_once('@').unwrap();
    lost.function_image = Some(format!("{repository}@sha256:{}", "0".repeat(64)));
    let error = engine.build(&lost).await.unwrap_err();
    assert_eq!((error.code, error.fault), ("ENGINE006", Fault::Backend));
    assert!(error.message.contains("ErrImagePull"), "{}", error.message);
    for id in [placeless.id, lost.id] {
        assert_eq!(engine.observe(id).await.unwrap(), Observed::Absent);
    }
}

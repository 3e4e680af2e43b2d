//! The driver of riff, with each of its runtimes.

use crate::ground::conforms;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_core_runtime_keeps_the_contract_through_the_proxy() {
    conforms("riff", |_| vec![("reach", "proxy".to_owned())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_knative_runtime_keeps_the_contract_through_the_ingress() {
    let text = str::to_owned;
    conforms("riff", |ground| {
        vec![("runtime", text("knative")), ("reach", text("ingress")), ground.ingress()]
    })
    .await;
}

//! The engine contract over OpenFaaS.

use dispatch_driver::conformance;
use dispatch_systems::openfaas::Flavour;

use super::bed::{Gateway, Live, queued};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_openfaas_keeps_the_contract() {
    let Some(live) = Live::start().await else { return };
    conformance::run(&live).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openfaas_on_kubernetes_keeps_the_contract() {
    let Some(gateway) = Gateway::start(Flavour::Kubernetes, &[]).await else { return };
    conformance::run(&gateway).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faasd_keeps_the_contract_through_its_queue() {
    let queued = queued();
    let queued: Vec<_> = queued.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let Some(gateway) = Gateway::start(Flavour::Faasd, &queued).await else { return };
    conformance::run(&gateway).await.assert();
}

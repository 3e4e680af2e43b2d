//! The driver of plain Kubernetes.

use dispatch_driver::conformance;

use crate::ground::{Cluster, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract() {
    let Some(turn) = turn().await else { return };
    let cluster = Cluster::new(&turn, "kubernetes", &[("reach", "proxy")]).await;
    let tell = |case: &conformance::CaseReport| eprintln!("{case:?}");
    let report = conformance::run_some(
        &cluster,
        |c| std::env::var("CASES").map_or(true, |w| w.split(',').any(|w| w == c)),
        tell,
    )
    .await;
    report.assert();
}

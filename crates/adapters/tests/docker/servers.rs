//! Several servers on one Docker engine.

use serde_json::json;

use crate::bed::{Bed, result, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_stop_only_their_own_containers() {
    let Some(bed) = Bed::start().await else { return };
    let (one, two) = (bed.engine(&[]).await, bed.engine(&[]).await);
    let deployment = bed.built(&*one, |_| {}).await;
    two.ensure(&deployment).await.unwrap();
    assert_eq!(result(&*two, &deployment, json!({"echo": 1})).await, 1);
    assert_eq!(bed.containers().await.len(), 2);
    one.shutdown().await;
    let left = bed.containers().await;
    assert_eq!(left.len(), 1);
    assert_eq!(result(&*two, &deployment, json!({"echo": 2})).await, 2);
    assert_eq!(bed.containers().await, left);
    two.shutdown().await;
    assert_eq!(bed.containers().await, [""; 0]);
    assert_eq!(bed.docker(&["volume", "ls", "--quiet"]).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_left_is_removed_and_what_a_live_one_has_is_not() {
    let Some(bed) = Bed::start().await else { return };
    let (killed, live) = (bed.engine(&[]).await, bed.engine(&[]).await);
    bed.built(&*killed, |_| {}).await;
    let deployment = bed.built(&*live, |_| {}).await;
    let all = bed.containers().await;
    assert_eq!(all.len(), 2);
    // All it does ends with it; nothing is told to Docker.
    drop(killed);
    let next = bed.engine(&[]).await;
    assert!(next.health().await.ok);
    until("the container goes", async || bed.containers().await.len() == 1).await;
    let left = bed.containers().await;
    // The lease of the live one is renewed more than once meanwhile.
    let begun = std::time::Instant::now();
    until("two leases pass", async || begun.elapsed().as_secs() >= 4).await;
    assert_eq!(bed.containers().await, left);
    assert_eq!(result(&*live, &deployment, json!({"echo": 1})).await, 1);
    assert_eq!(bed.containers().await, left);
    live.shutdown().await;
    until("nothing is left", async || {
        bed.containers().await.is_empty()
            && bed.docker(&["volume", "ls", "--quiet"]).await.is_empty()
    })
    .await;
}

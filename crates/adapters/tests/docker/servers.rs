//! Several servers on one Docker engine.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{UnixListener, UnixStream};

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
    let begun = Instant::now();
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

/// Else the third server takes the second for dead, and its containers with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_long_at_removing_what_another_left_is_not_dead() {
    let Some(bed) = Bed::start().await else { return };
    let killed = bed.engine(&[]).await;
    bed.built(&*killed, |_| {}).await;
    let slow = slow_to_remove(&bed.settings(&[])["host"], Duration::from_secs(8));
    let slow_host = format!("unix://{}", slow.path().join("socket").display());
    let live = bed.engine(&[("host", &slow_host)]).await;
    let deployment = bed.built(&*live, |_| {}).await;
    let own = bed.docker(&["ps", "--quiet", "--no-trunc", "--latest"]).await;
    drop(killed);
    let begun = Instant::now();
    // Once it has seen that the killed one renews nothing, and is busy with what that left.
    until("it removes", async || begun.elapsed().as_secs() >= 3).await;
    let third = bed.engine(&[]).await;
    assert!(third.health().await.ok);
    until("three leases pass", async || begun.elapsed().as_secs() >= 10).await;
    assert_eq!(bed.containers().await, [own]);
    assert_eq!(result(&*live, &deployment, json!({"echo": 1})).await, 1);
    third.shutdown().await;
}

/// A socket before an engine's own, which lets orders to remove a container wait.
fn slow_to_remove(host: &str, pause: Duration) -> tempfile::TempDir {
    let engine = host.strip_prefix("unix://").unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    tokio::spawn(async move {
        loop {
            let (asks, answers) = listener.accept().await.unwrap().0.into_split();
            let (told, asked) = UnixStream::connect(&engine).await.unwrap().into_split();
            tokio::spawn(pass(asks, asked, pause));
            tokio::spawn(async move {
                let (mut told, mut answers) = (told, answers);
                let _ = copy(&mut told, &mut answers).await;
            });
        }
    });
    folder
}

async fn pass(
    mut from: tokio::net::unix::OwnedReadHalf,
    mut to: tokio::net::unix::OwnedWriteHalf,
    pause: Duration,
) {
    let mut part = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut part).await {
        let text = String::from_utf8_lossy(&part[..length]);
        if text.starts_with("DELETE") && text.contains("/containers/") {
            tokio::time::sleep(pause).await;
        }
        if to.write_all(&part[..length]).await.is_err() {
            return;
        }
    }
}

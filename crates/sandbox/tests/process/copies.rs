//! Images where overlays are not allowed: each is copied once, and its copy goes with it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::{Engine, Fault};

use crate::bed::{Bed, until};
use crate::image::{DIGEST, bed_with, on};
use crate::layers::{Images, Layer};

const ECHO: &str = "#!/bin/sh\ncat > /dev/null\necho 1\n";

async fn bed(layers: &[&Layer]) -> (Bed, Arc<Images>) {
    bed_with(layers, |config| config.overlays = false).await
}

fn copies(bed: &Bed) -> usize {
    fs::read_dir(bed.directory.path().join("state/copies")).unwrap().count()
}

/// A layer that takes a while to copy.
fn large() -> Layer {
    let layer = Layer::busybox();
    for n in 0..2_000 {
        layer.file(&format!("/data/{}/{n}", n % 50), "content");
    }
    layer
}

#[tokio::test]
async fn users_at_the_same_time_share_one_copy() {
    let layer = large();
    let (bed, images) = bed(&[&layer]).await;
    let four = [(); 4].map(|()| bed.deployment("binary", ECHO, on(DIGEST)));
    let made = futures::future::join_all(four.iter().map(|d| bed.engine.ensure(d))).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!((images.asked(DIGEST), copies(&bed)), (1, 1));
    for deployment in &four {
        assert_eq!(bed.result(deployment.id, "null").await, serde_json::json!(1));
        bed.engine.remove(deployment.id).await.unwrap();
    }
    until("the image has no user", || images.users(DIGEST) == 0).await;
    assert_eq!(copies(&bed), 0);
    bed.engine.ensure(&four[0]).await.unwrap();
    assert_eq!((images.asked(DIGEST), copies(&bed)), (2, 1));
}

#[tokio::test]
async fn a_copy_is_removed_on_a_thread_that_serves_nobody() {
    let layer = Layer::busybox();
    let (bed, images) = bed(&[&layer]).await;
    let deployment = bed.deployment("binary", ECHO, on(DIGEST));
    bed.engine.ensure(&deployment).await.unwrap();
    bed.engine.remove(deployment.id).await.unwrap();
    until("the image has no user", || images.users(DIGEST) == 0).await;
    assert_eq!(copies(&bed), 0);
    // The runtime of this test has the one thread that runs it.
    assert_ne!(images.releaser(), Some(std::thread::current().id()));
}

#[tokio::test]
async fn a_copy_nobody_waits_for_goes() {
    let layer = large();
    let (bed, images) = bed(&[&layer]).await;
    let deployment = bed.deployment("binary", ECHO, on(DIGEST));
    let begun = tokio::time::timeout(Duration::ZERO, bed.engine.ensure(&deployment));
    assert!(begun.await.is_err(), "it was copied at once");
    until("the copy is gone", || images.users(DIGEST) == 0 && copies(&bed) == 0).await;
    // Nor is it in the way of the next.
    bed.engine.ensure(&deployment).await.unwrap();
    assert_eq!(copies(&bed), 1);
}

#[tokio::test]
async fn half_a_copy_goes() {
    let (layer, gone) = (large(), Layer::new());
    let (bed, images) = bed(&[&layer, &gone]).await;
    fs::remove_dir_all(gone.path()).unwrap();
    let deployment = bed.deployment("binary", ECHO, on(DIGEST));
    let error = bed.engine.ensure(&deployment).await.unwrap_err();
    assert_eq!(error.fault, Fault::Backend, "{error}");
    assert!(error.message.contains("cannot be copied"), "{error}");
    until("the copy is gone", || images.users(DIGEST) == 0 && copies(&bed) == 0).await;
}

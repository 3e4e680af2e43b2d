//! The same image twice is built once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::{Bed, system};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_of_the_same_inputs_are_one_build() {
    let Some(bed) = Bed::start("max_builds = 2").await else { return };
    let began = Instant::now();
    bed.begin_image("one", system(&["hello"])).await;
    bed.begin_image("two", system(&["hello"])).await;
    let one = bed.settled("/v1/image/one").await;
    let two = bed.settled("/v1/image/two").await;
    let built = began.elapsed();
    assert_eq!((&one["status"], &two["status"]), (&json!("READY"), &json!("READY")), "{one} {two}");
    assert_eq!(layers(&bed, "one").await, layers(&bed, "two").await);

    let before = layers(&bed, "one").await;
    bed.server.delete("/v1/image/one").await.expect(200);
    bed.server.wait_gone("/v1/image/one").await;
    let began = Instant::now();
    let again = bed.image("one", system(&["hello"])).await;
    let found = began.elapsed();
    assert_eq!((&again["status"], &again["digest"]), (&json!("READY"), &one["digest"]), "{again}");
    assert_eq!(layers(&bed, "one").await, before);
    // apt alone reads lists for longer than this, however fast the mirror is.
    assert!(found < Duration::from_secs(2).max(built / 4), "{found:?} after {built:?}");
}

async fn layers(bed: &Bed, name: &str) -> Vec<Value> {
    let content = bed.server.get(&format!("/v1/image/{name}/content")).await.expect(200).json();
    content["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect()
}

//! The same image twice is built once.

use serde_json::{Value, json};

use crate::bed::{Bed, system};
use crate::proxy::Proxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_of_the_same_inputs_are_one_build() {
    let Some(parts) = Bed::parts() else { return };
    // Builds reach nothing but the proxy.
    let Some(proxy) = Proxy::start(&parts.debian).await else { return };
    let (egress, environment) = (&proxy.address, format!("http_proxy=http://{}", proxy.address));
    let network = (vec![egress.clone()], vec![environment]);
    let bed = Bed::with(parts, network, "max_builds = 2").await;
    bed.begin_image("one", system(&["hello"])).await;
    bed.begin_image("two", system(&["hello"])).await;
    let one = bed.settled("/v1/image/one").await;
    let two = bed.settled("/v1/image/two").await;
    assert_eq!((&one["status"], &two["status"]), (&json!("READY"), &json!("READY")), "{one} {two}");
    let built = layers(&bed, "one").await;
    assert_eq!(built, layers(&bed, "two").await);
    let asked = proxy.asked();
    assert_eq!(asked.0, 1, "apt ran more than once, or not through the proxy");

    bed.server.delete("/v1/image/one").await.expect(200);
    bed.server.wait_gone("/v1/image/one").await;
    let again = bed.image("one", system(&["hello"])).await;
    assert_eq!((&again["status"], &again["digest"]), (&json!("READY"), &one["digest"]), "{again}");
    assert_eq!(layers(&bed, "one").await, built);
    assert_eq!(proxy.asked(), asked, "it was built again");
    // Other inputs are another build: what was counted is what builds do.
    let other = bed.image("three", system(&["hello", "jq"])).await;
    assert_eq!(other["status"], "READY", "{other}");
    assert_eq!(proxy.asked().0, 2);
}

async fn layers(bed: &Bed, name: &str) -> Vec<Value> {
    let content = bed.server.get(&format!("/v1/image/{name}/content")).await.expect(200).json();
    content["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect()
}

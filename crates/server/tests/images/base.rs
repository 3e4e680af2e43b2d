//! Base images in a registry: what is found in them, and tags that move.

use dispatch_systems::debian::{MARK, SECOND};
use dispatch_testkit::{eventually, eventually_within};
use serde_json::json;

use crate::bed::{Bed, NAME, PATIENCE, system};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_tag_is_shown_and_taken_only_by_an_update() {
    let Some(mut bed) = Bed::start("refresh_s = 1").await else { return };
    let base = bed.server.get("/v1/baseimage/base").await.expect(200).json();
    assert_eq!(base["digest"], bed.pushed, "{base}");
    assert_eq!(base["packageManager"], "apt", "{base}");
    let os = base["os"].as_str().unwrap().to_lowercase();
    assert!(os.starts_with(&bed.debian.os), "{base}");
    assert!(base["size"].as_u64().unwrap() > 10 << 20, "{base}");
    assert!(base["movedTo"].is_null(), "{base}");

    // With a package, so that what is on the base takes a while to be built again.
    let image = bed.image("small", system(&["hello"])).await;
    assert_eq!((&image["status"], &image["baseDigest"]), (&json!("READY"), &json!(bed.pushed)));
    let source =
        format!("import os\ndef handle(context, payload):\n    return os.path.exists({MARK:?})\n");
    let first = bed.function("hello", "small", &source).await;
    assert_eq!(bed.call("hello", json!(null)).await, false);

    let second = bed.registry.push(&bed.debian.layout, SECOND, NAME);
    assert_ne!(second, bed.pushed);
    eventually("the tag was looked at", async || {
        let base = bed.server.get("/v1/baseimage/base").await.expect(200).json();
        (base["movedTo"] == second).then_some(()).ok_or(base)
    })
    .await;
    // A server that starts again takes nothing by itself, as one that looks again.
    bed.server.restart().await;
    let base = bed.server.get("/v1/baseimage/base").await.expect(200).json();
    assert_eq!((&base["status"], &base["digest"]), (&json!("READY"), &json!(bed.pushed)));
    assert!(base["reason"][0].as_str().unwrap().contains(&second), "{base}");
    assert_eq!(bed.call("hello", json!(null)).await, false);

    bed.server.put("/v1/baseimage/base", bed.base()).await.expect(200);
    // Every call is answered, first by the old and then by the new.
    let mut answered = 0;
    eventually_within(PATIENCE, "the function is on the new base", async || {
        answered += 1;
        let new = bed.call("hello", json!(null)).await == true;
        if new {
            return Ok(());
        }
        let mut said = format!("{answered} calls were answered by the old one");
        for path in ["baseimage/base", "image/small", "function/hello"] {
            let thing = bed.server.get(&format!("/v1/{path}")).await;
            said += &format!("\n{path}: {}", thing.text);
        }
        Err(said)
    })
    .await;
    assert!(answered > 1, "the old one was gone at once");
    assert_eq!(bed.call("hello", json!(null)).await, true);
    let base = bed.server.get("/v1/baseimage/base").await.expect(200).json();
    assert_eq!((&base["status"], &base["digest"]), (&json!("READY"), &json!(second)), "{base}");
    assert!(base["movedTo"].is_null() && base["reason"].is_null(), "{base}");
    let image = bed.settled("/v1/image/small").await;
    assert_eq!((&image["status"], &image["baseDigest"]), (&json!("READY"), &json!(second)));
    let function = bed.settled("/v1/function/hello").await;
    assert_eq!(function["status"], "READY", "{function}");
    assert_ne!(function["digest"], first["digest"]);
}

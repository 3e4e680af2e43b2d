//! The root key changed while the server runs: everything opens at every moment.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dispatch_testkit::{Options, Server, eventually};
use serde_json::{Value, json};

const SECRETS: usize = 120;

async fn put(server: &Server, n: usize, value: &str) {
    let shape = json!({"secrets": {"k": value}});
    server.put(&format!("/v1/secret/s{n}"), shape).await.expect(201);
}

async fn value(server: &Server, n: usize) -> String {
    let got = server.get(&format!("/v1/secret/s{n}")).await.expect(200).json();
    got["secrets"]["k"].as_str().unwrap().to_owned()
}

async fn filled() -> Server {
    let server = Server::start_on(dispatch_testkit::Database::sqlite(), Options::default()).await;
    for n in 0..SECRETS {
        let shape = json!({"name": format!("s{n}"), "secrets": {"k": format!("{n} 1")}});
        server.post("/v1/secret", shape).await.expect(201);
    }
    put(&server, 0, "0 2").await;
    server
}

async fn ended(server: &Server) -> Value {
    eventually("the rotation ends", async || {
        let keys = server.get("/v1/rootkey").await.expect(200).json();
        (keys["rotation"]["state"] == "done").then(|| keys.clone()).ok_or(keys)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_readable_and_changeable_meanwhile() {
    let mut server = filled().await;
    let before = server.get("/v1/rootkey").await.expect(200).json();
    assert_eq!(before["keys"].as_array().unwrap().len(), 1);
    // With one version kept beside, the key that signs images, and those of the audit log and of
    // sign-ins.
    assert_eq!(before["keys"][0]["sealed"], SECRETS + 4);
    let revision = server.get("/v1/secret/s5").await.json()["revision"].clone();
    let (over, reads, writes) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let reading = async {
        for n in (0..SECRETS).cycle() {
            if over.load(Ordering::SeqCst) && reads.load(Ordering::SeqCst) > SECRETS {
                break;
            }
            assert!(value(&server, n).await.starts_with(&format!("{n} ")));
            reads.fetch_add(1, Ordering::SeqCst);
        }
    };
    let writing = async {
        for n in (0..SECRETS).step_by(7).cycle() {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let text = format!("{n} {}", writes.fetch_add(1, Ordering::SeqCst) + 3);
            put(&server, n, &text).await;
            assert_eq!(value(&server, n).await, text);
        }
    };
    let rotating = async {
        for _ in 0..3 {
            server.post("/v1/rootkey/rotate", Value::Null).await.expect(202);
            ended(&server).await;
        }
        over.store(true, Ordering::SeqCst);
    };
    tokio::join!(reading, writing, rotating);
    assert!(writes.load(Ordering::SeqCst) > 0);
    let keys = server.get("/v1/rootkey").await.json();
    let sealed: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|k| &k["sealed"]).collect();
    assert_eq!(sealed.len(), 4, "{keys}");
    assert!(sealed[1..].iter().all(|sealed| **sealed == 0), "{keys}");
    assert_eq!(keys["keys"][0]["seals"], true);
    let ids: BTreeSet<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["id"].to_string()).collect();
    assert!(ids.contains(&before["keys"][0]["id"].to_string()) && ids.len() == 4);
    let after = server.get("/v1/secret/s5").await.json()["revision"].clone();
    assert_eq!(revision, after, "to be sealed anew is no change");

    let dropped = server.delete("/v1/rootkey/old").await.expect(200).json();
    assert_eq!(dropped["keys"].as_array().unwrap().len(), 1);
    let file = std::fs::read_to_string(server.data_dir().join("root.key")).unwrap();
    assert_eq!(file.lines().count(), 1);
    server.restart().await;
    for n in 0..SECRETS {
        assert!(value(&server, n).await.starts_with(&format!("{n} ")));
    }
    let old = server.get("/v1/secret/s0?version=1").await.expect(200).json();
    assert_eq!(old["secrets"]["k"], "0 1", "versions are sealed anew, too");
    let error = server.delete("/v1/rootkey/old").await.expect(409).error();
    assert_eq!(error.error_code.as_deref(), Some("SECRET004"));
}

#[tokio::test]
async fn keys_of_the_configuration_are_not_changed_here() {
    let key = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
    let options = Options { settings: format!("[seal]\nroot_key = \"{key}\"") };
    let server = Server::start_with(options).await;
    let error = server.post("/v1/rootkey/rotate", Value::Null).await.expect(409).error();
    assert!(error.message.contains("put a new one before the old ones"), "{}", error.message);
    let error = server.delete("/v1/rootkey/old").await.expect(409).error();
    assert!(error.message.contains("seal.root_key"), "{}", error.message);
    let keys = server.get("/v1/rootkey").await.expect(200);
    assert!(!keys.text.contains(key), "{}", keys.text);
}

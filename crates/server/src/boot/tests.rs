//! The fault loop: the 1st, 2nd, … call of the store or of the engine fails. Whatever it was a part
//! of, repeated, ends as if nothing had happened, and nothing is left over.

mod bed;
mod engine;
mod engine_seen;
mod organization;
mod scripted;

use std::sync::atomic::Ordering;

use bed::Bed;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

/// Places that fail one after the other. A use case has fewer; what comes after them are the
/// controllers, the queue and the reading that this test does itself.
const STORE_FAULTS: u64 = 26;
const ENGINE_FAULTS: u64 = 4;

const NOUNS: [&str; 9] = [
    "engine",
    "baseimage",
    "image",
    "function",
    "secret",
    "application",
    "api",
    "iam/organization",
    "iam/serviceaccount",
];

/// What fails.
#[derive(Debug, Clone, Copy)]
enum Fails {
    Store(u64),
    Engine(u64),
}

fn all_faults() -> impl Iterator<Item = Fails> {
    let engine = (1..=ENGINE_FAULTS).map(Fails::Engine);
    (1..=STORE_FAULTS).map(Fails::Store).chain(engine)
}

impl Bed {
    fn arm(&self, fails: Fails) {
        match fails {
            Fails::Store(nth) => self.faults.arm(nth),
            Fails::Engine(nth) => self.engine.fails_in.store(nth as usize, Ordering::SeqCst),
        }
    }

    /// Whether it failed; if not, it will not any more.
    fn disarm(&self, fails: Fails) -> bool {
        match fails {
            Fails::Store(_) => self.faults.disarm(),
            Fails::Engine(_) => self.engine.fails_in.swap(0, Ordering::SeqCst) == 0,
        }
    }
}

fn shape(noun: &str, name: &str) -> Value {
    let public = include_str!("../authn/tests/public.pem");
    match noun {
        "baseimage" => json!({"name": name, "dockerUrl": "host:test", "language": "test"}),
        "engine" => {
            let settings = json!({"gateway": "http://127.0.0.1:1"});
            json!({"name": name, "type": "scripted", "settings": settings})
        }
        "image" => json!({"name": name, "baseImageName": "base"}),
        "function" => json!({"name": name, "image": "image", "source": "aGk="}),
        "secret" => json!({"name": name, "secrets": {"k": "v"}}),
        "api" => json!({"name": name, "function": "echo", "uris": [format!("/{name}")]}),
        "iam/serviceaccount" => {
            use base64::Engine as _;
            let key = base64::engine::general_purpose::STANDARD.encode(public);
            json!({"name": name, "publicKey": key})
        }
        _ => json!({"name": name}),
    }
}

/// Another version of the same thing; of a function one that has to be deployed anew.
fn changed(noun: &str, name: &str) -> Value {
    let mut shape = shape(noun, name);
    shape["tags"] = json!([{"key": "version", "value": "two"}]);
    if noun == "function" {
        shape["environment"] = json!({"VERSION": "two"});
    }
    shape
}

/// The life of one thing, with a fault in each of its changes.
async fn life(database: String, noun: &str) {
    let bed = Bed::start(database).await;
    let mut hits = 0;
    for (n, fails) in all_faults().enumerate() {
        let (list, name) = (format!("/v1/{noun}"), format!("x{n}"));
        let one = format!("{list}/{name}");
        bed.arm(fails);
        bed.insist(Method::POST, &list, &shape(noun, &name), Some(409)).await;
        bed.settled(&one, |thing| thing["status"] == "READY").await;
        hits += u32::from(bed.disarm(fails));
        bed.arm(fails);
        bed.insist(Method::PUT, &one, &changed(noun, &name), None).await;
        let two = |thing: &Value| thing["tags"][0]["value"] == "two" && thing["status"] == "READY";
        bed.settled(&one, two).await;
        hits += u32::from(bed.disarm(fails));
        bed.arm(fails);
        bed.insist(Method::DELETE, &one, &Value::Null, Some(404)).await;
        bed.settled(&one, Value::is_null).await;
        hits += u32::from(bed.disarm(fails));
    }
    assert!(hits >= 3 * 4, "{noun}: only {hits} faults were met");
    bed.nothing_left_over().await;
    bed.stop().await;
}

/// Runs a test on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($name:ident, $body:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            join_all(databases().await.into_iter().map($body)).await;
        }
    };
}

/// The URL of a database of each kind there is; empty for SQLite in the data directory.
async fn databases() -> Vec<String> {
    let mut all = vec![String::new()];
    if let Some(server) = dispatch_store::testing::postgres() {
        all.push(server.database().await);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thing_survives_a_fault_in_each_of_its_changes() {
    let mut lives = Vec::new();
    for noun in NOUNS {
        lives.extend(databases().await.into_iter().map(|database| life(database, noun)));
    }
    join_all(lives).await;
}

on_both!(a_run_that_is_answered_is_recorded_whatever_fails, async |url: String| {
    let bed = Bed::start(url).await;
    let mut answered = Vec::new();
    for fails in all_faults() {
        bed.arm(fails);
        let body = json!({"functionName": "echo", "blocking": true, "input": 1});
        let run = bed.insist(Method::POST, "/v1/runs", &body, None).await;
        // An engine that fails is the run's own affair: it has happened, and failed.
        let ours = run["error"]["type"] == "SystemError";
        assert!(run["status"] == "READY" || ours, "{fails:?}: {run}");
        answered.push(run["name"].as_str().unwrap().to_owned());
        bed.disarm(fails);
    }
    let mut recorded = bed.runs("/v1/runs", answered.len()).await;
    answered.sort();
    recorded.sort();
    assert_eq!(recorded, answered);
    bed.nothing_left_over().await;
    bed.stop().await;
});

on_both!(a_request_with_a_key_makes_one_run_whatever_fails, async |url: String| {
    let bed = Bed::start(url).await;
    let mut count = 0;
    for blocking in [true, false] {
        for fails in all_faults() {
            count += 1;
            bed.arm(fails);
            let path = format!("/v1/runs?functionName=echo&key={count}");
            let body = json!({"blocking": blocking, "input": count});
            let run = bed.insist(Method::POST, &path, &body, None).await;
            let one = format!("/v1/runs/{}", run["name"].as_str().unwrap());
            bed.settled(&one, |run| !run["finishedTime"].is_null()).await;
            bed.disarm(fails);
            let (status, again) = bed.ask(Method::POST, &path, &body).await;
            assert!((200..300).contains(&status), "{again}");
            assert_eq!(again["name"], run["name"], "{fails:?}");
        }
    }
    bed.runs("/v1/runs", count).await;
    bed.nothing_left_over().await;
    bed.stop().await;
});

on_both!(a_dead_letter_is_replayed_once_whatever_fails, async |url: String| {
    let bed = Bed::start(url).await;
    let mut count = 0;
    for fails in all_faults() {
        let body = json!({"functionName": "echo", "input": "die"});
        bed.insist(Method::POST, "/v1/runs", &body, None).await;
        let dead = bed.runs("/v1/deadletters", 1).await.remove(0);
        let replay = format!("/v1/deadletters/{dead}/replay");
        bed.arm(fails);
        // 404: it was replayed, and the answer was lost.
        bed.insist(Method::POST, &replay, &Value::Null, Some(404)).await;
        count += 2;
        bed.runs("/v1/runs", count).await;
        let again = bed.runs("/v1/deadletters", 1).await.remove(0);
        bed.disarm(fails);
        assert_ne!(again, dead, "{fails:?}");
        bed.insist(Method::DELETE, &format!("/v1/deadletters/{again}"), &Value::Null, None).await;
    }
    bed.nothing_left_over().await;
    bed.stop().await;
});

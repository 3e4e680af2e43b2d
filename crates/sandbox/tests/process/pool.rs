//! Workers come with load, are used again, and go when nothing is to be done.

use std::time::{Duration, Instant};

use dispatch_driver::Engine;
use serde_json::json;

use crate::bed::{Bed, call, until};

const COUNT: &str = "n = 0\ndef handle(c, p):\n    global n\n    n += 1\n    return n\n";

#[tokio::test]
async fn a_warm_worker_is_used_again() {
    let bed = Bed::new().await;
    let id = bed.python(COUNT).await;
    for n in 1..=20 {
        let outcome = bed.call(id, "null").await;
        assert_eq!(outcome.result.unwrap().get(), n.to_string());
        assert!(!outcome.phases.cold);
    }
    assert_eq!(bed.engine.workers(), (0, 1));
}

#[tokio::test]
async fn idle_workers_stop() {
    let bed = Bed::new().await;
    let deployment = bed.deployment("python3", COUNT, |d| d.idle = Duration::from_millis(100));
    bed.engine.build(&deployment).await.unwrap();
    until("no worker is left", || bed.engine.workers() == (0, 0)).await;
    let outcome = bed.call(deployment.id, "null").await;
    assert!(outcome.phases.cold);
    assert_eq!(outcome.result.unwrap().get(), "1");
}

#[tokio::test]
async fn calls_run_at_the_same_time_up_to_the_limit() {
    let bed = Bed::new().await;
    let source = "import time\ndef handle(c, p): time.sleep(p)\n";
    let deployment = bed.deployment("python3", source, |d| d.concurrency = 2);
    bed.engine.build(&deployment).await.unwrap();
    let begun = Instant::now();
    let calls = (0..6).map(|_| bed.call(deployment.id, "0.1"));
    let outcomes = futures::future::join_all(calls).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "more than two ran at the same time");
    assert!(outcomes.iter().all(|o| o.result.is_ok()));
    assert!(bed.engine.workers().1 <= 2);
}

#[tokio::test]
async fn an_abandoned_call_poisons_nothing() {
    let bed = Bed::new().await;
    let source = "import time\ndef handle(c, p):\n    time.sleep(p[0])\n    return p[1]\n";
    let id = bed.python(source).await;
    for n in 0..5 {
        let slow = bed.engine.invoke(id, call(r#"[5, "old"]"#));
        assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
        assert_eq!(bed.result(id, &json!([0, n]).to_string()).await, json!(n));
    }
    assert_eq!(bed.engine.workers().0, 0);
}

#[tokio::test]
async fn output_of_a_thread_left_behind_reaches_no_later_run() {
    let bed = Bed::new().await;
    let source = r#"
import threading, time
def late():
    time.sleep(0.05)
    print("late")
def handle(c, p):
    if p: threading.Thread(target=late, daemon=True).start()
    else: time.sleep(0.2)
"#;
    let id = bed.python(source).await;
    bed.call(id, "true").await;
    assert!(bed.call(id, "false").await.logs.is_empty());
}

#[tokio::test]
async fn removing_frees_everything() {
    let bed = Bed::new().await;
    let id = bed.python(COUNT).await;
    bed.engine.remove(id).await.unwrap();
    bed.engine.remove(id).await.unwrap();
    assert_eq!(bed.engine.workers(), (0, 0));
    assert_eq!(bed.engine.invoke(id, call("null")).await.unwrap_err().code, "ENGINE007");
    let sources = bed.directory.path().join("state/sources");
    assert_eq!(std::fs::read_dir(sources).unwrap().count(), 0);
}

#[tokio::test]
async fn a_full_engine_makes_room() {
    let bed = Bed::with(|c| c.max_workers = 1).await;
    let (one, two) = (bed.python(COUNT).await, bed.python(COUNT).await);
    for _ in 0..3 {
        assert_eq!(bed.result(one, "null").await, json!(1));
        assert_eq!(bed.result(two, "null").await, json!(1));
    }
}

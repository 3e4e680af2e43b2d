//! Containers of one server: warm, more of them under load, ended, idle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dispatch_driver::{Fault, Reached, Scope};
use serde_json::json;

use crate::bed::{Bed, call, made, outcome, result, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_container_is_used_again_and_calls_at_once_get_more_of_them() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let deployment = bed.built(&*engine, |d| d.concurrency = 3).await;
    for n in 0..5 {
        let outcome = outcome(&*engine, &deployment, json!({"echo": n})).await;
        assert_eq!(outcome.result.unwrap().get(), n.to_string());
        assert!(!outcome.phases.cold);
    }
    assert_eq!((bed.containers().await.len(), engine.workers()), (1, (0, 1)));
    let payload = json!({"sleep_ms": 1_000, "echo": 1});
    let calls = (0..6).map(|_| outcome(&*engine, &deployment, payload.clone()));
    let outcomes = futures::future::join_all(calls).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    assert!(outcomes.iter().any(|outcome| outcome.phases.cold));
    assert_eq!((bed.containers().await.len(), engine.workers()), (3, (0, 3)));
    engine.shutdown().await;
    assert_eq!(bed.containers().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_container_runs_several_calls_where_that_is_set() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[("callsPerContainer", "3")]).await;
    let deployment = bed.built(&*engine, |d| d.concurrency = 4).await;
    let payload = json!({"sleep_ms": 1_000, "echo": 1});
    let calls = (0..4).map(|_| outcome(&*engine, &deployment, payload.clone()));
    let outcomes = futures::future::join_all(calls).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    assert_eq!(bed.containers().await.len(), 2);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_stopped_when_it_was_idle() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let deployment = bed.built(&*engine, |d| d.idle = Duration::from_secs(1)).await;
    result(&*engine, &deployment, json!({"echo": 1})).await;
    until("the container goes", async || bed.containers().await.is_empty()).await;
    let outcome = outcome(&*engine, &deployment, json!({"echo": 1})).await;
    assert!(outcome.phases.cold && outcome.result.is_ok());
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_finds_all_containers_busy_waits_until_its_deadline_and_no_longer() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let deployment = bed.built(&*engine, |d| d.concurrency = 1).await;
    let slow = outcome(&*engine, &deployment, json!({"sleep_ms": 2_000, "echo": 1}));
    let hurried = async {
        until("the other call runs", async || engine.workers().0 == 1).await;
        let limit = Duration::from_millis(200);
        engine.invoke(deployment.id, call(&json!({"echo": 1}), limit)).await
    };
    let (slow, hurried) = tokio::join!(slow, hurried);
    let error = hurried.unwrap_err();
    let told = (error.code, error.reached, error.scope);
    assert_eq!(told, ("ENGINE005", Reached::No, Scope::Deployment), "{error}");
    assert!(slow.result.is_ok());
    engine.shutdown().await;
}

/// Its address may be another's at once, so no look now and then is soon enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_idle_container_is_noticed_at_once() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[("lease", "10m")]).await;
    bed.built(&*engine, |_| {}).await;
    bed.docker(&["kill", &bed.containers().await[0]]).await;
    let killed = Instant::now();
    until("it is noticed", async || engine.workers() == (0, 0)).await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    until("what is left of it goes", async || bed.containers().await.is_empty()).await;
    engine.shutdown().await;
}

/// The call's caller has left, but the host gives it the function's whole time from when it came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_after_a_slow_start_is_let_end_and_the_next_finds_its_container_warm() {
    const SLOW: &str = "import time\ntime.sleep(3)\n\ndef handle(context, payload):\n    \
                        time.sleep(payload)\n    return payload\n";
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let mut deployment = bed.deployment(SLOW).await;
    let limit = Duration::from_secs(6);
    deployment.timeout = limit;
    engine.ensure(&deployment).await.unwrap();
    let first = engine.invoke(deployment.id, call(&json!(5), limit)).await.unwrap();
    assert!(first.phases.cold && first.result.is_err(), "{first:?}");
    until("the call ends", async || engine.workers().0 == 0).await;
    assert_eq!(engine.workers(), (0, 1));
    let second = engine.invoke(deployment.id, call(&json!(5), limit)).await.unwrap();
    assert!(!second.phases.cold && second.result.is_ok(), "{second:?}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_left_take_no_place_in_the_queue() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let deployment = bed.built(&*engine, |d| d.concurrency = 1).await;
    let slow = outcome(&*engine, &deployment, json!({"sleep_ms": 8_000, "echo": 1}));
    let others = async {
        until("the other call runs", async || engine.workers().0 == 1).await;
        let hurried = (0..10_000).map(|_| {
            let call = call(&json!({"echo": 1}), Duration::from_millis(500));
            engine.invoke(deployment.id, call)
        });
        let refused = futures::future::join_all(hurried).await;
        assert!(refused.iter().all(Result::is_err));
        assert_eq!(engine.workers().0, 1, "the queue was full while the container was busy");
        result(&*engine, &deployment, json!({"echo": 2})).await
    };
    let (slow, last) = tokio::join!(slow, others);
    assert!(slow.result.is_ok());
    assert_eq!(last, 2);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_was_killed_is_replaced_and_the_call_under_way_told() {
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let deployment = bed.built(&*engine, |_| {}).await;
    let before = bed.containers().await;
    // While nothing runs in it: the next call does not notice.
    bed.docker(&["kill", &before[0]]).await;
    assert_eq!(result(&*engine, &deployment, json!({"echo": 1})).await, 1);
    let killed = outcome(&*engine, &deployment, json!({"sleep_ms": 20_000, "echo": 1}));
    let kill = async {
        until("the call runs", async || engine.workers().0 == 1).await;
        until("the killed one goes", async || bed.containers().await.len() == 1).await;
        bed.docker(&["kill", &bed.containers().await[0]]).await;
    };
    let (killed, ()) = tokio::join!(killed, kill);
    let error = killed.result.unwrap_err();
    assert_eq!(error.message, "process ended (exit code 137)");
    assert_eq!(result(&*engine, &deployment, json!({"echo": 2})).await, 2);
    let all: BTreeSet<_> = bed.containers().await.into_iter().collect();
    assert!(!all.contains(&before[0]), "{all:?}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_needs_too_much_memory_says_so() {
    const GREEDY: &str = include_str!("greedy.py");
    let Some(bed) = Bed::start().await else { return };
    let engine = bed.engine(&[]).await;
    let mut deployment = bed.deployment(GREEDY).await;
    deployment.memory_mib = 64;
    engine.build(&deployment).await.unwrap();
    let grown = outcome(&*engine, &deployment, json!({"grow": "worker"})).await;
    let message = grown.result.unwrap_err().message;
    assert!(message.contains("signal 9"), "{message}");
    let grown = outcome(&*engine, &deployment, json!({"grow": "container"})).await;
    let message = grown.result.unwrap_err().message;
    assert_eq!(message, "process ended (exit code 137, out of memory)");
    assert_eq!(result(&*engine, &deployment, json!({"echo": 2})).await, 2);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_do_not_go_together_are_refused() {
    let refused = async |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(name, text)| ((*name).into(), (*text).into()));
        let error = made(settings.collect(), BTreeMap::new()).await.err().expect("it is refused");
        assert_eq!((error.code, error.fault), ("ENGINE008", Fault::Caller));
        error.message
    };
    let message = refused(&[("network", "none")]).await;
    assert!(message.contains("internal network"), "{message}");
    let message = refused(&[("host", "/var/run/docker.sock")]).await;
    assert!(message.contains("unix:///PATH"), "{message}");
    let message = refused(&[("host", "tcp://127.0.0.1:2376"), ("caFile", "/nowhere")]).await;
    assert!(message.contains("settings.caFile: /nowhere"), "{message}");
    let message = refused(&[("caFile", "/nowhere")]).await;
    assert!(message.contains("has no TLS"), "{message}");
    let message = refused(&[("callsPerContainer", "0")]).await;
    assert!(message.contains("settings.callsPerContainer is 0"), "{message}");
    let message = refused(&[("address", "localhost")]).await;
    assert!(message.contains("settings.address"), "{message}");
}

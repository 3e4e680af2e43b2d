//! Handlers that misbehave: each fails by itself, and the next call is served.

use std::time::Duration;

use dispatch_driver::{Engine, Fault};
use serde_json::json;

use crate::bed::{Bed, call};

/// Handlers that do one bad thing when told so.
const BAD: &str = r#"
import json, os, sys, socket, time
def handle(context, payload):
    if payload == "loop":
        while True: pass
    if payload == "allocate":
        kept = []
        while True: kept.append(bytearray(1 << 20))
    if payload == "fork":
        children = 0
        while True:
            try:
                if os.fork() == 0: time.sleep(1000)
                children += 1
            except OSError:
                return children
    if payload == "bomb":
        while True:
            try: os.fork()
            except OSError: pass
    if payload == "burn":
        ends, used = time.monotonic() + 1, time.process_time()
        while time.monotonic() < ends: pass
        return time.process_time() - used
    if payload == "log":
        line = b"x" * 1023 + b"\n"
        for _ in range(1 << 10): os.write(1, line * 1024)
        return "written"
    if payload == "exit": os._exit(3)
    if payload == "sys.exit": sys.exit(3)
    if payload == "close":
        os.close(3)
        return "closed"
    if payload == "nan": return float("nan")
    if payload == "large": return "x" * (100 << 20)
    if payload == "object": return object()
    if payload == "frame":
        os.write(1, b"\x04\x00\x00\x00\x13null")
        return "real"
    if payload == "forge":
        os.write(3, b"\x04\x00\x00\x00\x13null")
        return "real"
    return payload
"#;

/// From Linux 6.15 on the kernel says how another's child ended.
fn tells_status() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 15)
}

async fn fails(what: &str, words: &str) {
    fails_within(512, what, words).await;
}

async fn fails_within(memory_mib: u64, what: &str, words: &str) {
    let bed = Bed::new().await;
    let id = {
        let deployment = bed.deployment("python3", BAD, |d| {
            d.timeout = Duration::from_secs(5);
            d.memory_mib = memory_mib;
        });
        bed.engine.build(&deployment).await.unwrap();
        deployment.id
    };
    let message = bed.error(id, &json!(what).to_string()).await;
    assert!(message.contains(words), "{what}: {message}");
    assert_eq!(bed.result(id, "1").await, json!(1));
}

#[tokio::test]
async fn a_loop_times_out() {
    fails("loop", "timed out after 5000 ms").await;
}

#[tokio::test]
async fn endless_allocation_is_out_of_memory() {
    // Without a group the address space ends first, which Python notices by itself.
    let words = if Bed::new().await.limits("memory") { "ran out of memory" } else { "MemoryError" };
    fails_within(64, "allocate", words).await;
}

#[tokio::test]
async fn a_fork_bomb_ends_with_its_call() {
    fails("bomb", "timed out after 5000 ms").await;
}

#[tokio::test]
async fn a_worker_has_its_share_of_the_cpu() {
    let bed = Bed::with(|c| c.max_cpus = 0.2).await;
    if !bed.limits("cpu") {
        return;
    }
    let id = bed.python(BAD).await;
    let seconds = bed.result(id, r#""burn""#).await.as_f64().unwrap();
    assert!(seconds < 0.5, "{seconds} s of CPU in one second");
}

#[tokio::test]
async fn leaving_ends_the_worker_only() {
    let words = if tells_status() { ": exit status: 3" } else { "" };
    fails("exit", &format!("process ended before it answered{words}")).await;
    fails("sys.exit", "SystemExit: 3").await;
    fails("close", "process ended before it answered").await;
}

#[tokio::test]
async fn results_that_are_not_json_or_too_large() {
    fails("nan", "not JSON").await;
    fails("object", "not JSON").await;
    fails("large", "bytes").await;
}

#[tokio::test]
async fn forks_are_limited_and_cleaned_up() {
    let bed = Bed::new().await;
    let id = bed.python(BAD).await;
    let children = bed.result(id, r#""fork""#).await.as_u64().unwrap();
    assert!(children < 64, "{children} children");
    assert_eq!(bed.result(id, r#""fork""#).await, json!(children));
}

#[tokio::test]
async fn a_gigabyte_of_log_is_cut() {
    let bed = Bed::new().await;
    let id = bed.python(BAD).await;
    let outcome = bed.call(id, r#""log""#).await;
    assert_eq!(outcome.result.unwrap().get(), r#""written""#);
    assert_eq!(outcome.logs.stdout.last().unwrap(), "[dispatch: log cut after 65536 bytes]");
    assert!(outcome.logs.stdout.len() <= 66);
    assert!(bed.call(id, "1").await.logs.is_empty());
}

#[tokio::test]
async fn printed_frames_are_only_text() {
    let bed = Bed::new().await;
    let id = bed.python(BAD).await;
    let outcome = bed.call(id, r#""frame""#).await;
    assert_eq!(outcome.result.unwrap().get(), r#""real""#);
    assert!(outcome.logs.stdout[0].ends_with("null"));
}

#[tokio::test]
async fn a_forged_answer_reaches_no_later_call() {
    let bed = Bed::new().await;
    let id = bed.python(BAD).await;
    bed.call(id, r#""forge""#).await;
    for n in 0..3 {
        assert_eq!(bed.result(id, &n.to_string()).await, json!(n));
    }
}

#[tokio::test]
async fn deep_json_fails_that_call_only() {
    let bed = Bed::new().await;
    let id = bed.python(BAD).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let outcome = bed.engine.invoke(id, call(&deep)).await.unwrap();
    assert!(outcome.result.unwrap_err().message.contains("RecursionError"));
    assert_eq!(bed.result(id, "1").await, json!(1));
}

#[tokio::test]
async fn a_source_that_does_not_load_is_its_authors_fault() {
    let bed = Bed::new().await;
    for (source, words) in [
        ("def handle(context, payload:\n", "SyntaxError"),
        ("import nothing_like_this\n", "nothing_like_this"),
        ("handler = 1\n", "handle"),
        ("import os\nos._exit(1)\n", "ended while it was loaded"),
    ] {
        let deployment = bed.deployment("python3", source, |_| {});
        let error = bed.engine.build(&deployment).await.unwrap_err();
        assert_eq!(error.fault, Fault::Caller, "{error:?}");
        assert_eq!(error.code, "ENGINE003");
        assert!(error.message.contains(words), "{}", error.message);
    }
}

//! What a function may do in a call, and what ends it.

use std::time::{Duration, Instant};

use dispatch_driver::{Engine, Fault, Scope};
use dispatch_model::InvocationErrorType;
use serde_json::json;

use super::support::wasm::{Bench, Called, call, component, file};

#[tokio::test]
async fn the_examples_answer() {
    let bench = Bench::new();
    let hello = bench.call(file("wasm/hello.wat"), r#"{"name":"Ada"}"#).await;
    assert_eq!(hello.output(), json!({"greeting": "Hello from WebAssembly"}));

    let echo = bench.deployment(file("wasm/echo.wat"));
    bench.deploy(&echo).await;
    let large = "ü".repeat(1 << 20);
    let payload = json!([1, {"large": large}]).to_string();
    let request = call(r#"{"runId":"r"}"#, &payload, echo.timeout);
    let answer = Called(bench.engine.invoke(echo.id, request).await.unwrap());
    assert_eq!(answer.output()["context"], json!({"runId": "r"}));
    assert_eq!(answer.output()["payload"].to_string(), payload);
    assert!(!answer.0.phases.cold);
    assert_eq!(bench.engine.workers(), (0, 0));
}

#[tokio::test]
async fn a_handlers_error_is_the_functions_own() {
    let bench = Bench::new();
    let refused = bench.call(component("(i32.const 64)"), "1").await;
    assert_eq!(refused.error().kind, InvocationErrorType::FunctionError);
    assert_eq!(refused.error().message, "refused");
    assert_eq!(refused.error().stacktrace, ["here"]);
}

#[tokio::test]
async fn a_trap_tells_where() {
    let bench = Bench::new();
    let trapped = bench.call(component("unreachable"), "1").await;
    assert!(trapped.error().message.contains("unreachable"), "{:?}", trapped.error());
    let frames = &trapped.error().stacktrace;
    assert!(frames[0].starts_with("at inner "), "{frames:?}");
    assert!(frames[1].starts_with("at handle "), "{frames:?}");
}

#[tokio::test]
async fn an_answer_must_be_json_of_a_fair_size() {
    let bench = Bench::new();
    let nan = bench.call(component("(i32.const 16)"), "1").await;
    assert!(nan.error().message.contains("not valid JSON"), "{:?}", nan.error());

    // 100 MiB of zeros, in a memory that was grown for them.
    let large = "(drop (memory.grow (i32.const 1600)))
        (i32.store (i32.const 20) (i32.const 65536))
        (i32.store (i32.const 24) (i32.const 104857600))
        (i32.const 16)";
    let mut deployment = bench.deployment(component(large));
    deployment.memory_mib = 512;
    bench.deploy(&deployment).await;
    let large = bench.call_again(&deployment, "1").await;
    assert!(large.error().message.contains("too much data"), "{:?}", large.error());

    let mut deployment = bench.deployment(file("wasm/echo.wat"));
    deployment.memory_mib = 512;
    bench.deploy(&deployment).await;
    let payload = format!("\"{}\"", "x".repeat(6 << 20));
    let large = bench.call_again(&deployment, &payload).await;
    assert!(large.error().message.contains("larger than"), "{:?}", large.error());

    let outside = "(i32.store (i32.const 20) (i32.const 0x7fffffff)) (i32.const 16)";
    let outside = bench.call(component(outside), "1").await;
    assert_eq!(outside.error().kind, InvocationErrorType::FunctionError);
}

#[tokio::test]
async fn memory_ends_at_the_functions_limit() {
    let bench = Bench::new();
    let greedy = "(loop $more (drop (memory.grow (i32.const 16))) (br $more)) unreachable";
    let ended = bench.call(component(greedy), "1").await;
    assert_eq!(ended.error().message, "memory limit of 64 MiB exceeded");

    let mut too_much = bench.deployment(component("(i32.const 144)"));
    too_much.memory_mib = 1 << 20;
    let refused = bench.engine.build(&too_much).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Caller);
    assert!(refused.message.contains("memoryMib"), "{refused}");
}

/// On one thread, so that a guest that did not yield would hold up everything.
#[tokio::test(flavor = "current_thread")]
async fn a_loop_ends_in_time_and_starves_nobody() {
    let bench = Bench::new();
    let mut endless = bench.deployment(component("(loop $on (br $on)) unreachable"));
    endless.timeout = Duration::from_millis(300);
    bench.deploy(&endless).await;
    let quick = bench.deployment(component("(i32.const 144)"));
    bench.deploy(&quick).await;

    let began = Instant::now();
    let looping = bench.call_again(&endless, "1");
    let others = async {
        let mut served = 0;
        while began.elapsed() < Duration::from_millis(200) {
            bench.call_again(&quick, "1").await.output();
            tokio::task::yield_now().await;
            served += 1;
        }
        served
    };
    let (looping, served) = tokio::join!(looping, others);
    assert_eq!(looping.error().message, "timed out after 300 ms");
    assert!(looping.error().stacktrace[0].contains("inner"), "{:?}", looping.error());
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(served >= 5, "only {served} calls were served beside the loop");
    assert_eq!(bench.engine.workers(), (0, 0));
}

#[tokio::test]
async fn what_is_printed_is_that_calls_alone_and_bounded() {
    let bench = Bench::with(|config| config.max_log_bytes = 1_000);
    let deployment = bench.deployment(file("prints.wat"));
    bench.deploy(&deployment).await;
    let quiet = bench.call_again(&deployment, "0").await;
    assert_eq!(quiet.output(), json!(null));
    assert_eq!(quiet.logs().stdout, ["a line"]);
    assert_eq!(quiet.logs().stderr, ["an error"]);

    let loud = bench.call_again(&deployment, "1").await;
    assert_eq!(loud.output(), json!(null), "a chatty guest runs on");
    let lines = &loud.logs().stdout;
    assert_eq!(lines.len(), 1_000usize.div_ceil(7) + 1);
    assert_eq!(lines.last().unwrap(), "[dispatch: log cut after 1000 bytes]");
    assert_eq!(loud.logs().stderr, ["an error"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_take_turns() {
    let bench = Bench::new();
    let mut deployment = bench.deployment(file("wasm/echo.wat"));
    deployment.concurrency = 200;
    bench.deploy(&deployment).await;
    let calls = (0..200).map(|number| {
        let request = call("{}", &number.to_string(), deployment.timeout);
        let (engine, id) = (bench.engine.clone(), deployment.id);
        tokio::spawn(async move { Called(engine.invoke(id, request).await.unwrap()) })
    });
    let calls: Vec<_> = calls.collect();
    for (number, called) in calls.into_iter().enumerate() {
        assert_eq!(called.await.unwrap().output()["payload"], json!(number));
    }
    assert_eq!(bench.engine.workers(), (0, 0));
}

#[tokio::test]
async fn a_call_that_gets_no_turn_says_so_and_an_abandoned_one_leaves_its_turn() {
    let bench = Bench::new();
    let mut deployment = bench.deployment(component("(loop $on (br $on)) unreachable"));
    deployment.concurrency = 1;
    bench.deploy(&deployment).await;
    let engine = bench.engine.clone();
    let request = call("{}", "1", deployment.timeout);
    let id = deployment.id;
    let endless = tokio::spawn(async move { engine.invoke(id, request).await });
    let limit = Instant::now() + deployment.timeout;
    while bench.engine.workers().0 == 0 {
        assert!(Instant::now() < limit, "the call never began");
        tokio::task::yield_now().await;
    }
    let soon = Duration::from_millis(50);
    let busy = bench.engine.invoke(id, call("{}", "1", soon)).await.unwrap_err();
    assert_eq!((busy.code, busy.scope), ("ENGINE005", Scope::Deployment), "{busy}");

    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());
    assert_eq!(bench.engine.workers(), (0, 0));
    let next = Called(bench.engine.invoke(id, call("{}", "1", soon)).await.unwrap());
    assert!(next.error().message.starts_with("timed out"), "{:?}", next.error());
}

#[tokio::test]
async fn what_cannot_work_is_refused_when_it_is_built() {
    let bench = Bench::new();
    let cases = [
        ("(component", "does not compile"),
        ("(module)", "does not compile"),
        ("(component)", "exports neither"),
        ("(component (import \"acme:db/query\" (instance (export \"run\" (func)))))", "acme:db"),
    ];
    for (source, reason) in cases {
        let deployment = bench.deployment(source.as_bytes().to_vec());
        let refused = bench.engine.build(&deployment).await.unwrap_err();
        assert_eq!(refused.fault, Fault::Caller, "{source}: {refused}");
        assert!(refused.message.contains(reason), "{source}: {refused}");
    }
    let untyped = String::from_utf8(component("(i32.const 0)")).unwrap();
    let untyped = untyped.replace("(param \"context\" string) ", "(param \"context\" char) ");
    let refused = bench.engine.build(&bench.deployment(untyped.into_bytes())).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Caller, "{refused}");

    let unknown = bench.engine.invoke(uuid::Uuid::now_v7(), call("{}", "1", Duration::MAX / 4));
    assert_eq!(unknown.await.unwrap_err().code, "ENGINE007");
}

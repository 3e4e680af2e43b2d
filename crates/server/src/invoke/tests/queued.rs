//! Runs nobody waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dispatch_driver::{Error, Retry};
use dispatch_model::function::FunctionSpec;
use dispatch_model::{InvocationErrorType as Kind, State, code};
use dispatch_store::RunQuery;
use futures::StreamExt;
use tokio::sync::Semaphore;

use crate::invoke::callable::{function_error, input_error};
use crate::invoke::testing::{
    TestEngine, World, eventually, name, ok, org, outcome, request, settings,
};
use crate::invoke::{RunRequest, Settings};

fn queued(function: &str, input: &str) -> RunRequest {
    RunRequest { blocking: false, ..request(function, input) }
}

async fn dead(world: &World) -> Vec<uuid::Uuid> {
    let query = RunQuery { dead: true, ..RunQuery::default() };
    let page = world.store.run_list(&org(), &query).await.unwrap();
    page.items.iter().map(|run| run.id).collect()
}

#[tokio::test]
async fn an_accepted_run_is_executed() {
    let world = World::new(TestEngine::echo()).await;
    world.function("f", FunctionSpec::default()).await;
    let run = world.invoker.accept(queued("f", "[1]")).await.unwrap();
    assert_eq!((run.state, run.blocking), (State::Initialized, false));
    let ended = world.ended(run.id).await;
    assert_eq!((ended.state, ended.attempts), (State::Ready, 1));
    assert_eq!(ended.output.unwrap().get(), "[1]");
    assert!(dead(&world).await.is_empty());
}

#[tokio::test]
async fn a_failing_run_is_tried_again_and_may_succeed() {
    let engine = TestEngine::new(|n, call| async move {
        if n < 3 { outcome(Err(function_error("not yet"))) } else { ok(call.payload) }
    });
    let world = World::new(engine).await;
    world.function("f", FunctionSpec { retries: 2, ..FunctionSpec::default() }).await;
    let run = world.invoker.accept(queued("f", "1")).await.unwrap();
    let ended = world.ended(run.id).await;
    assert_eq!((ended.state, ended.attempts), (State::Ready, 3));
    assert!(ended.error.is_none() && ended.reason.is_empty());
}

#[tokio::test]
async fn a_run_that_keeps_failing_becomes_a_dead_letter() {
    type Answer = fn() -> dispatch_driver::Result<dispatch_driver::Outcome>;
    let cases: [(Answer, u32, Kind); 4] = [
        (|| outcome(Err(function_error("no"))), 3, Kind::FunctionError),
        (|| outcome(Err(input_error("no"))), 1, Kind::InputError),
        (|| Err(Error::backend(code::ENGINE006, Retry::Now, "no")), 4, Kind::SystemError),
        (|| Err(Error::caller(code::ENGINE003, "no")), 1, Kind::FunctionError),
    ];
    for (answer, attempts, kind) in cases {
        let engine = TestEngine::new(move |_, _| async move { answer() });
        let world = World::with(engine, Settings { engine_attempts: 4, ..settings() }).await;
        world.function("f", FunctionSpec { retries: 2, ..FunctionSpec::default() }).await;
        let run = world.invoker.accept(queued("f", "1")).await.unwrap();
        let ended = world.ended(run.id).await;
        assert_eq!(ended.error.unwrap().kind, kind);
        assert_eq!((ended.state, ended.attempts), (State::Error, attempts));
        assert_eq!(world.engine.calls(), attempts as usize);
        assert_eq!(dead(&world).await, [run.id]);
    }
}

#[tokio::test]
async fn more_runs_than_memory_takes_all_end_once() {
    let seen = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let engine = TestEngine::new({
        let seen = seen.clone();
        move |_, call| {
            let input = String::from_utf8(call.payload.to_vec()).unwrap();
            *seen.lock().unwrap().entry(input).or_default() += 1;
            async move { ok(call.payload) }
        }
    });
    let settings = Settings { queue_bytes: 32 * 1_024, ..settings() };
    let world = World::with(engine, settings).await;
    world.function("f", FunctionSpec::default()).await;
    let accepted = futures::stream::iter(0..500)
        .map(|n| world.invoker.accept(queued("f", &n.to_string())))
        .buffer_unordered(64)
        .map(|run| run.unwrap().id)
        .collect::<Vec<_>>()
        .await;
    for id in accepted {
        assert_eq!(world.ended(id).await.state, State::Ready);
    }
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 500);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    assert_eq!(world.store.run_pending().await.unwrap(), 0);
}

#[tokio::test]
async fn at_most_concurrency_queued_runs_are_in_the_engine() {
    let gate = Arc::new(Semaphore::new(0));
    let engine = TestEngine::new({
        let gate = gate.clone();
        move |_, call| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                ok(call.payload)
            }
        }
    });
    let world = World::new(engine).await;
    world.function("f", FunctionSpec { concurrency: Some(2), ..FunctionSpec::default() }).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(world.invoker.accept(queued("f", &n.to_string())).await.unwrap().id);
    }
    eventually(async || (world.engine.calls() == 2).then_some(())).await;
    let mut first = world.stored(ids[0]).await.unwrap();
    world.invoker.overlay(&mut first);
    assert_eq!(first.state, State::Creating);
    for released in 3..=6 {
        gate.add_permits(1);
        eventually(async || (world.engine.calls() == released).then_some(())).await;
    }
    gate.add_permits(2);
    for id in ids {
        assert_eq!(world.ended(id).await.state, State::Ready);
    }
}

#[tokio::test]
async fn what_a_dead_server_left_is_done_by_the_next() {
    let gate = Arc::new(Semaphore::new(0));
    let engine = TestEngine::new({
        let gate = gate.clone();
        move |n, call| {
            let gate = gate.clone();
            async move {
                if n == 1 {
                    gate.acquire().await.unwrap().forget();
                }
                ok(call.payload)
            }
        }
    });
    let world = World::new(engine).await;
    world.function("f", FunctionSpec { concurrency: Some(1), ..FunctionSpec::default() }).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(world.invoker.accept(queued("f", &n.to_string())).await.unwrap().id);
    }
    // All are the first server's; what it took after its end would be its own for a lease.
    let taken = || world.engine.calls() == 1 && world.invoker.active.len() == 3;
    eventually(async || taken().then_some(())).await;
    // It hangs in the first call for ever, its leases unrenewed.
    let world = world.restarted().await;
    for id in ids {
        assert_eq!(world.ended(id).await.state, State::Ready);
    }
}

#[tokio::test]
async fn runs_of_a_deleted_function_end() {
    let gate = Arc::new(Semaphore::new(0));
    let engine = TestEngine::new({
        let gate = gate.clone();
        move |_, call| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                ok(call.payload)
            }
        }
    });
    let world = World::new(engine).await;
    let spec = FunctionSpec { concurrency: Some(1), ..FunctionSpec::default() };
    let function = world.function("f", spec.clone()).await;
    let first = world.invoker.accept(queued("f", "1")).await.unwrap().id;
    eventually(async || (world.engine.calls() == 1).then_some(())).await;
    let second = world.invoker.accept(queued("f", "2")).await.unwrap().id;
    world.store.remove(&function).await.unwrap();
    // One of the same name is another function.
    world.function("f", spec).await;
    world.invoker.forget(&org(), &name("f"));
    gate.add_permits(2);
    assert_eq!(world.ended(first).await.state, State::Ready);
    let orphan = world.ended(second).await;
    assert!(orphan.error.unwrap().message.contains("deleted"));
    assert_eq!(world.engine.calls(), 1);
}

#[tokio::test]
async fn a_stop_gives_waiting_runs_back() {
    let gate = Arc::new(Semaphore::new(0));
    let engine = TestEngine::new({
        let gate = gate.clone();
        move |_, call| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                ok(call.payload)
            }
        }
    });
    let world = World::new(engine).await;
    world.function("f", FunctionSpec { concurrency: Some(1), ..FunctionSpec::default() }).await;
    let first = world.invoker.accept(queued("f", "1")).await.unwrap().id;
    let second = world.invoker.accept(queued("f", "2")).await.unwrap().id;
    eventually(async || (world.engine.calls() == 1).then_some(())).await;
    gate.add_permits(1);
    world.invoker.shutdown().await;
    assert_eq!(world.stored(first).await.unwrap().state, State::Ready);
    assert_eq!(world.stored(second).await.unwrap().state, State::Initialized);
    assert!(world.invoker.accept(queued("f", "3")).await.is_err());
    gate.add_permits(1);
    let world = world.restarted().await;
    assert_eq!(world.ended(second).await.state, State::Ready);
}

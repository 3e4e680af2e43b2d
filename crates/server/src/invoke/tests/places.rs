//! Functions on several engines.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use dispatch_driver::{Error, Retry};
use dispatch_model::engine::EngineSpec;
use dispatch_model::function::FunctionSpec;
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::placement::{Burst, PlacementSpec, Preference};
use dispatch_model::{State, code};
use dispatch_placement::EngineSettings;
use tokio::sync::Semaphore;

use crate::invoke::testing::{TestEngine, World, eventually, name, ok, org, request};
use crate::invoke::{Member, Placing, RunRequest};

/// The engine that takes a call, which takes no time.
async fn served_by(world: &World) -> String {
    let run = world.invoker.run(request("f", "1"));
    let run = tokio::time::timeout(Duration::from_secs(5), run).await.expect("a call hangs");
    let run = run.unwrap();
    run.engine.unwrap_or_else(|| panic!("{:?}", run.error))
}

/// Calls come to the engine.
async fn comes_to(world: &World, engine: &str) {
    eventually(async || (served_by(world).await == engine).then_some(())).await;
}

#[tokio::test]
async fn an_engine_that_hangs_holds_up_no_call_and_takes_them_when_it_is_told() {
    let (near, far) = (TestEngine::echo(), TestEngine::echo());
    let world = World::new(near.clone()).await;
    world.engine("far", &far);
    far.hangs.store(true, SeqCst);
    world.function_on(&["far", "test"], FunctionSpec::default()).await;
    assert_eq!(served_by(&world).await, "test");
    // Loaded again, though nobody can be told of anything.
    near.hangs.store(true, SeqCst);
    world.invoker.forget(&org(), &name("f"));
    assert_eq!(served_by(&world).await, "test");
    far.hangs.store(false, SeqCst);
    comes_to(&world, "far").await;
}

#[tokio::test]
async fn an_engine_that_is_away_when_a_function_is_loaded_is_told_when_it_is_back() {
    let far = TestEngine::echo();
    let world = World::new(TestEngine::echo()).await;
    let member = world.engine("far", &far);
    member.state().set_health(false);
    world.function_on(&["far", "test"], FunctionSpec::default()).await;
    assert_eq!(served_by(&world).await, "test");
    assert!(far.ensured.lock().unwrap().is_empty(), "it was told though it is away");
    // The first time, it cannot be told yet.
    far.fails_in.store(1, SeqCst);
    member.state().set_health(true);
    comes_to(&world, "far").await;
}

#[tokio::test]
async fn an_engine_that_lost_a_deployment_is_told_again() {
    let world = World::new(TestEngine::echo()).await;
    let far = TestEngine::echo();
    world.engine("far", &far);
    world.function_on(&["far", "test"], FunctionSpec::default()).await;
    assert_eq!(served_by(&world).await, "far");
    far.ensured.lock().unwrap().clear();
    comes_to(&world, "far").await;
}

#[tokio::test]
async fn a_run_has_one_time_limit_however_long_it_waits_for_room() {
    let engine = TestEngine::new(|n, call| async move {
        if n == 1 {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        let rest = call.deadline.saturating_duration_since(std::time::Instant::now());
        ok(rest.as_millis().to_string())
    });
    let world = World::new(engine).await;
    let state = world.invoker.loader.engines.member("test").unwrap().state().clone();
    state.configure(EngineSettings { max_concurrency: 1, ..EngineSettings::default() });
    world.function("f", FunctionSpec { timeout_ms: 2_000, ..FunctionSpec::default() }).await;
    let first = tokio::spawn({
        let invoker = world.invoker.clone();
        async move { invoker.run(request("f", "1")).await }
    });
    eventually(async || (world.engine.calls() == 1).then_some(())).await;
    let second = world.invoker.run(request("f", "2")).await.unwrap();
    first.await.unwrap().unwrap();
    let rest: u64 = second.output.unwrap().get().parse().unwrap();
    assert!(rest < 1_700, "of 2 s, {rest} ms are left after it waited");
}

#[tokio::test]
async fn engines_that_refuse_a_run_use_up_one_attempt_together() {
    let refuses = || {
        TestEngine::new(|_, _| async {
            Err(Error::backend(code::ENGINE006, Retry::Now, "refused").unreached())
        })
    };
    let world = World::new(refuses()).await;
    let others = [refuses(), refuses()];
    world.engine("a", &others[0]);
    world.engine("b", &others[1]);
    let spec = FunctionSpec { retries: 2, ..FunctionSpec::default() };
    world.function_on(&["a", "b", "test"], spec).await;
    let run = RunRequest { blocking: false, ..request("f", "1") };
    let run = world.invoker.accept(run).await.unwrap();
    let ended = world.ended(run.id).await;
    assert_eq!((ended.state, ended.attempts), (State::Error, 3));
    let calls = [world.engine.calls(), others[0].calls(), others[1].calls()];
    assert_eq!(calls, [3, 3, 3]);
}

/// An engine whose calls wait for the gate.
fn gated(gate: &Arc<Semaphore>) -> Arc<TestEngine> {
    let gate = gate.clone();
    TestEngine::new(move |_, call| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            ok(call.payload)
        }
    })
}

#[tokio::test]
async fn queued_runs_use_all_engines_of_a_function_and_burst() {
    let gate = Arc::new(Semaphore::new(0));
    let world = World::new(gated(&gate)).await;
    let (far, cloud) = (gated(&gate), gated(&gate));
    world.engine("far", &far);
    world.engine("cloud", &cloud);
    let placement = PlacementSpec {
        engines: Some(vec!["test".to_owned(), "far".to_owned()]),
        burst: Some(Burst { to: vec!["cloud".to_owned()], ..Burst::default() }),
        ..PlacementSpec::default()
    };
    let spec = FunctionSpec {
        concurrency: Some(2),
        placement: Some(placement),
        ..FunctionSpec::default()
    };
    world.function_on(&["test", "far", "cloud"], spec).await;
    let mut runs = Vec::new();
    for n in 0..8 {
        let run = RunRequest { blocking: false, ..request("f", &n.to_string()) };
        runs.push(world.invoker.accept(run).await.unwrap().id);
    }
    let calls = || [world.engine.calls(), far.calls(), cloud.calls()];
    eventually(async || (calls() == [2, 2, 2]).then_some(())).await;
    gate.add_permits(8);
    for id in runs {
        assert_eq!(world.ended(id).await.state, State::Ready);
    }
}

#[tokio::test]
async fn an_engine_that_is_closed_to_the_organization_takes_no_more_calls() {
    let far = TestEngine::echo();
    let world = World::new(TestEngine::echo()).await;
    let member = world.engine("far", &far);
    world.function_on(&["far", "test"], FunctionSpec::default()).await;
    assert_eq!(served_by(&world).await, "far");
    let closed = EngineSpec { organizations: vec!["acme".to_owned()], ..member.spec.clone() };
    world.invoker.loader.engines.put(member.with_spec(closed)).unwrap();
    assert_eq!(served_by(&world).await, "test");
}

#[tokio::test]
async fn what_fits_nowhere_any_more_is_called_where_it_is_and_said_to_be() {
    let world = World::new(TestEngine::echo()).await;
    world.engine("far", &TestEngine::echo());
    world.engine("elsewhere", &TestEngine::echo());
    let require = [("region".to_owned(), "nowhere".to_owned())].into();
    let placement = PlacementSpec { require, ..PlacementSpec::default() };
    let spec = FunctionSpec { placement: Some(placement), ..FunctionSpec::default() };
    world.function_on(&["far"], spec).await;
    assert_eq!(served_by(&world).await, "far");
    let explained = world.invoker.explain(&org(), &name("f")).await.unwrap();
    let lines = &explained.versions[0].2;
    let next: Vec<&str> =
        lines.iter().filter(|line| line.next).map(|line| line.engine.as_str()).collect();
    assert_eq!(next, ["far"]);
    let other = lines.iter().find(|line| line.engine == "elsewhere").unwrap();
    assert!(other.passed_over.is_some(), "{other:?}");
}

#[tokio::test]
async fn of_too_many_engines_some_of_each_preference_and_of_the_burst_are_kept() {
    let world = World::new(TestEngine::echo()).await;
    let engine = TestEngine::echo();
    let engines = &world.invoker.loader.engines;
    for n in 0..70 {
        let region = if n == 69 { "us" } else { "eu" };
        let labels = [("region".to_owned(), region.to_owned())].into();
        let spec = EngineSpec { labels, ..EngineSpec::default() };
        let member = Member::new(&format!("e{n:02}"), engine.clone(), spec, String::new());
        engines.put(member).unwrap();
    }
    let prefer = |region: &str, weight| Preference {
        labels: [("region".to_owned(), region.to_owned())].into(),
        weight,
    };
    let mut placement = PlacementSpec {
        prefer: Some(vec![prefer("eu", 80), prefer("us", 20)]),
        burst: Some(Burst { to: vec!["test".to_owned()], ..Burst::default() }),
        ..PlacementSpec::default()
    };
    let version = FunctionVersionSpec { language: "test".to_owned(), ..Default::default() };
    let targets = |placement: &PlacementSpec| {
        let (org, version) = (&org(), &version);
        Placing { engines, org, version, placement }.targets(&[])
    };
    let found = targets(&placement).unwrap();
    assert_eq!(found.len(), 64);
    assert_eq!((found[0].as_str(), found[62].as_str(), found[63].as_str()), ("e00", "e69", "test"));
    // Who asks why the others are passed over hears that.
    let all = Some((0..70).map(|n| format!("e{n:02}")).collect());
    let listed = PlacementSpec { engines: all, ..placement.clone() };
    let spec = FunctionSpec { placement: Some(listed), ..FunctionSpec::default() };
    let there: Vec<&str> = found.iter().map(String::as_str).collect();
    world.function_on(&there, spec).await;
    let explained = world.invoker.explain(&org(), &name("f")).await.unwrap();
    let beyond = explained.versions[0].2.iter().find(|line| line.engine == "e68").unwrap();
    let why = "is beyond the 64 engines a function is deployed on";
    assert_eq!(beyond.passed_over.as_deref(), Some(why));

    placement.burst = None;
    placement.engines = Some(vec!["e7".to_owned(), "elsewhere".to_owned()]);
    let why = targets(&placement).unwrap_err();
    assert!(why.starts_with("engine e7 is not known, did you mean e"), "{why}");
    assert!(why.contains("?; engine elsewhere is not known; "), "{why}");
}

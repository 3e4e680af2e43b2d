//! Runs whose caller waits.

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::function::FunctionSpec;
use dispatch_model::secret::Content;
use dispatch_model::{InvocationErrorType as Kind, State};
use tokio::sync::{Notify, Semaphore};

use crate::app::Error;
use crate::invoke::testing::{TestEngine, World, eventually, name, ok, org, request, settings};
use crate::invoke::{RunRequest, Settings};

#[tokio::test]
async fn a_run_is_answered_and_recorded() {
    let world = World::new(TestEngine::echo()).await;
    world.function("f", FunctionSpec::default()).await;
    let run = world.invoker.run(request("f", "[1]")).await.unwrap();
    assert_eq!(run.state, State::Ready);
    assert_eq!(run.output.as_ref().unwrap().get(), "[1]");
    let stored = world.stored(run.id).await.unwrap();
    assert_eq!(stored.output.unwrap().get(), "[1]");
    assert_eq!((stored.state, stored.blocking), (State::Ready, true));
    assert_eq!(stored.logs.stdout, ["a line"]);
}

#[tokio::test]
async fn what_is_not_there_or_not_ready_is_said_so() {
    let settings = Settings { ready_wait_ms: 20, ..settings() };
    let world = World::with(TestEngine::echo(), settings).await;
    let unknown = world.invoker.run(request("nope", "1")).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound { .. }), "{unknown}");

    let mut function = world.function("f", FunctionSpec::default()).await;
    function.meta.state = State::Error;
    function.status.serving = None;
    function.meta.reason = vec!["it does not compile".to_owned()];
    world.store.update(&mut function).await.unwrap();
    let failed = world.invoker.run(request("f", "1")).await.unwrap_err();
    assert!(matches!(failed, Error::NotReady { .. }));
    assert!(failed.to_string().contains("does not compile"), "{failed}");

    function.meta.state = State::Creating;
    world.store.update(&mut function).await.unwrap();
    let slow = eventually(async || world.invoker.run(request("f", "1")).await.err()).await;
    assert!(slow.to_string().contains("CREATING"), "{slow}");
    let foreign =
        RunRequest { org: dispatch_model::OrgName::trusted("other"), ..request("f", "1") };
    assert!(matches!(world.invoker.run(foreign).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_function_that_is_being_made_is_waited_for() {
    let world =
        World::with(TestEngine::echo(), Settings { ready_wait_ms: 10_000, ..settings() }).await;
    let mut function = world.function("f", FunctionSpec::default()).await;
    let serving = function.status.serving.take();
    function.meta.state = State::Creating;
    world.store.update(&mut function).await.unwrap();
    let waiting = tokio::spawn({
        let invoker = world.invoker.clone();
        async move { invoker.run(request("f", "1")).await }
    });
    tokio::task::yield_now().await;
    function.meta.state = State::Ready;
    function.status.serving = serving;
    world.store.update(&mut function).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().state, State::Ready);
}

#[tokio::test]
async fn an_update_takes_the_new_deployment_and_the_old_one_serves_meanwhile() {
    let world = World::new(TestEngine::echo()).await;
    let mut function = world.function("f", FunctionSpec::default()).await;
    let old = function.status.faas_id;
    assert_eq!(world.invoker.run(request("f", "1")).await.unwrap().faas_id, old);
    function.spec.schema_in = Some(serde_json::json!(false));
    for state in [State::Updating, State::Error] {
        function.meta.state = state;
        world.store.update(&mut function).await.unwrap();
        world.invoker.forget(&org(), &name("f"));
        let meanwhile = world.invoker.run(request("f", "1")).await.unwrap();
        assert_eq!((meanwhile.state, meanwhile.faas_id), (State::Ready, old), "{state}");
    }

    function.meta.state = State::Ready;
    world.serve(&mut function).await;
    let new = function.status.faas_id;
    let new_one = eventually(async || {
        let run = world.invoker.run(request("f", "1")).await.unwrap();
        (run.faas_id == new).then_some(run)
    });
    assert_eq!(new_one.await.error.unwrap().kind, Kind::InputError);
}

#[tokio::test]
async fn a_deployment_the_engine_lost_is_ensured_again() {
    let world = World::new(TestEngine::echo()).await;
    world.function("f", FunctionSpec::default()).await;
    world.invoker.run(request("f", "1")).await.unwrap();
    world.engine.ensured.lock().unwrap().clear();
    let run = world.invoker.run(request("f", "2")).await.unwrap();
    assert_eq!((run.state, run.attempts), (State::Ready, 1));
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_its_run() {
    let go = Arc::new(Notify::new());
    let engine = TestEngine::new({
        let go = go.clone();
        move |_, call| {
            let go = go.clone();
            async move {
                go.notified().await;
                ok(call.payload)
            }
        }
    });
    let world = World::new(engine).await;
    world.function("f", FunctionSpec::default()).await;
    let mut news = world.invoker.follow();
    let mut call = Box::pin(world.invoker.run(request("f", "7")));
    eventually(async || {
        let soon = Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut call).await.is_err());
        (world.engine.calls() == 1).then_some(())
    })
    .await;
    drop(call);
    go.notify_one();
    let finished = news.recv().await.unwrap();
    assert_eq!(world.ended(finished.id).await.output.unwrap().get(), "7");
}

#[tokio::test]
async fn a_key_makes_repeats_return_the_first_run() {
    let gate = Arc::new(Semaphore::new(0));
    let engine = TestEngine::new({
        let gate = gate.clone();
        move |n, _| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                ok(n.to_string())
            }
        }
    });
    let world = World::new(engine).await;
    world.function("f", FunctionSpec::default()).await;
    world.function("g", FunctionSpec::default()).await;
    let keyed = |function: &str, blocking: bool| RunRequest {
        idempotency_key: Some("key".to_owned()),
        blocking,
        ..request(function, "1")
    };
    let race = (0..20).map(|_| {
        let (invoker, request) = (world.invoker.clone(), keyed("f", true));
        tokio::spawn(async move { invoker.run(request).await.unwrap() })
    });
    let race: Vec<_> = race.collect();
    eventually(async || (world.engine.calls() == 1).then_some(())).await;
    gate.add_permits(2);
    let runs = futures::future::join_all(race).await;
    let first = runs[0].as_ref().unwrap().id;
    for run in runs {
        let run = run.unwrap();
        assert_eq!((run.id, run.state), (first, State::Ready));
        assert_eq!(run.output.unwrap().get(), "1");
    }
    assert_eq!(world.engine.calls(), 1);
    assert_eq!(world.invoker.accept(keyed("f", false)).await.unwrap().id, first);
    assert_ne!(world.invoker.run(keyed("g", true)).await.unwrap().id, first);
}

#[tokio::test]
async fn a_secret_that_comes_changes_and_goes_is_followed() {
    let world = World::new(TestEngine::new(|_, call| async move { ok(call.context) })).await;
    let spec = FunctionSpec { secrets: vec!["own".to_owned()], ..FunctionSpec::default() };
    world.function("f", spec).await;
    let missing = world.invoker.run(request("f", "1")).await.unwrap();
    let error = missing.error.unwrap();
    assert_eq!(error.kind, Kind::InputError);
    assert!(error.message.contains("own"), "{}", error.message);
    assert_eq!(world.engine.calls(), 0);

    let value = async || {
        let run = world.invoker.run(request("f", "1")).await.unwrap();
        assert_eq!(run.secrets, ["own"]);
        Some(run.output?.get().to_owned())
    };
    let mut secret = world.secret("own", "first").await;
    eventually(async || value().await.filter(|context| context.contains("first"))).await;
    let Content::Sealed(sealed) = &mut secret.spec.content else { panic!("it is sealed") };
    sealed.ciphertext = "second".to_owned();
    world.store.update(&mut secret).await.unwrap();
    eventually(async || value().await.filter(|context| context.contains("second"))).await;
    world.store.remove(&secret).await.unwrap();
    eventually(async || value().await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_secret_of_the_request_is_merged_and_a_missing_one_named() {
    let world = World::new(TestEngine::new(|_, call| async move { ok(call.context) })).await;
    world.function("f", FunctionSpec::default()).await;
    world.secret("mine", "canary").await;
    let with = |secret: &str| RunRequest { secrets: vec![secret.to_owned()], ..request("f", "1") };
    let run = world.invoker.run(with("mine")).await.unwrap();
    assert!(run.output.unwrap().get().contains(r#""secrets":{"value":"canary"}"#));
    for gone in ["theirs", "../etc", ""] {
        let run = world.invoker.run(with(gone)).await.unwrap();
        let error = run.error.unwrap();
        assert_eq!(error.kind, Kind::InputError);
        assert!(error.message.contains(gone), "{}", error.message);
    }
}

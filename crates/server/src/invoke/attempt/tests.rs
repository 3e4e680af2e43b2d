//! What one attempt makes of inputs, outputs and engines that misbehave.

use std::collections::HashSet;

use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::{InvocationErrorType as Kind, Logs, Name, OrgName, Tags};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::invoke::Engines;
use crate::invoke::meter::Meter;
use crate::invoke::metrics::RunMetrics;
use crate::invoke::places::Places;
use crate::invoke::schema::Schema;
use crate::invoke::secrets::tests::secret;
use crate::invoke::secrets::{Held, OwnSecrets};
use crate::invoke::tenant::Tenant;
use crate::invoke::testing::{TestEngine, ok, outcome};

const MAX_OUTPUT: usize = 1_000;

fn version(engine: Arc<TestEngine>) -> Version {
    let faas_id = Uuid::now_v7();
    *engine.ensured.lock().unwrap() = HashSet::from([faas_id]);
    let metrics = RunMetrics::register(&mut Registry::default()).engine("test");
    let mut engines = Engines::default();
    engines.add(engine.clone());
    let member = engines.member("test").unwrap();
    let spec = FunctionVersionSpec { language: "test".to_owned(), ..Default::default() };
    let queue = Arc::default();
    let place = Place::new(&member, metrics, &spec, &queue);
    place.room.open();
    let org = OrgName::trusted("dispatch");
    let tenant = Arc::new(Tenant::new(org.clone()));
    Version {
        number: 1,
        faas_id,
        places: Places::new(engines, org, spec, Arc::default(), vec![Arc::new(place)], queue),
        trial: None,
        schema_in: None,
        schema_out: None,
        timeout: Duration::from_secs(1),
        retries: 0,
        backoff: Duration::ZERO,
        idempotent: false,
        memory_mib: 256,
        meter: Arc::new(Meter::new(tenant, Name::trusted("f"))),
        secret_names: Vec::new(),
        secrets: Ok(OwnSecrets::new(Vec::new())),
        services: Vec::new(),
        queued: Arc::new(Semaphore::new(1)),
    }
}

fn run(input: Option<&str>) -> Run {
    Run {
        id: Uuid::now_v7(),
        org: OrgName::trusted("dispatch"),
        function_name: Name::trusted("f"),
        function_id: Uuid::nil(),
        faas_id: None,
        engine: None,
        qualifier: None,
        version: None,
        placement: None,
        blocking: true,
        state: State::Initialized,
        reason: Vec::new(),
        input: input.map(|text| json::raw(text.to_owned().into()).unwrap()),
        output: None,
        error: None,
        logs: Logs::default(),
        secrets: Vec::new(),
        secrets_used: Default::default(),
        services: Vec::new(),
        event: None,
        http_context: None,
        tags: Tags::new(),
        attempts: 1,
        accepted_us: 1,
        executed_us: None,
        finished_us: None,
    }
}

async fn perform(version: &Version, run: &mut Run) -> Then {
    let deadline = Instant::now() + version.timeout;
    let needs = Needs { request_id: "r", secrets: &[], max_output: MAX_OUTPUT, deadline };
    let own = version.own_secrets().await.unwrap();
    attempt(version, &own, version.places.first(), run, &needs).await.then
}

async fn failed(version: &Version, run: &mut Run) -> (Kind, String, Then) {
    let then = perform(version, run).await;
    assert_eq!(run.state, State::Error);
    assert!(run.finished_us.is_some() && run.output.is_none());
    let error = run.error.clone().expect("a failed run has an error");
    assert_eq!(run.reason, std::slice::from_ref(&error.message));
    (error.kind, error.message, then)
}

#[tokio::test]
async fn a_call_that_goes_well_fills_the_run() {
    let version = version(TestEngine::echo());
    let mut run = run(Some(r#"{"a": 1}"#));
    assert_eq!(perform(&version, &mut run).await, Then::Nothing);
    assert_eq!(run.state, State::Ready);
    assert_eq!(run.output.as_ref().unwrap().get(), r#"{"a": 1}"#);
    assert_eq!(run.logs.stdout, ["a line"]);
    assert_eq!((run.attempts, run.engine.as_deref()), (1, Some("test")));
    assert_eq!(run.faas_id, Some(version.faas_id));
    assert!(run.executed_us <= run.finished_us && run.executed_us.is_some());
}

#[tokio::test]
async fn no_input_is_null_for_the_handler() {
    let version = version(TestEngine::echo());
    let mut run = run(None);
    perform(&version, &mut run).await;
    assert_eq!(run.output.as_ref().unwrap().get(), "null");
}

#[tokio::test]
async fn input_that_breaks_the_schema_never_reaches_the_handler() {
    let engine = TestEngine::echo();
    let mut version = version(engine.clone());
    version.schema_in = Schema::compile("schema.in", &json!({"type": "object"})).ok();
    for input in [None, Some("[]")] {
        let (kind, message, then) = failed(&version, &mut run(input)).await;
        assert_eq!((kind, then), (Kind::InputError, Then::Nothing));
        assert!(message.contains("schema.in"), "{message}");
    }
    assert_eq!(engine.calls(), 0);
    perform(&version, &mut run(Some("{}"))).await;
    assert_eq!(engine.calls(), 1);
}

#[tokio::test]
async fn output_is_checked_for_size_depth_and_schema() {
    let huge = format!("\"{}\"", "x".repeat(MAX_OUTPUT));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let outputs = [(huge, "at most 1000"), (deep, "deeper")];
    for (output, part) in outputs.into_iter().chain([("{}".into(), "schema.out")]) {
        let mut version = version(TestEngine::new(move |_, _| {
            let output = output.clone();
            async move { ok(output) }
        }));
        version.schema_out = Schema::compile("schema.out", &json!({"type": "string"})).ok();
        let (kind, message, then) = failed(&version, &mut run(None)).await;
        assert_eq!((kind, then), (Kind::FunctionError, Then::RetryFunction), "{part}");
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn each_failure_says_whose_fault_it_is_and_what_to_do() {
    let backend = |retry| Err(Error::backend(code::ENGINE006, retry, "broken"));
    let lost = || Err(Error::backend(code::ENGINE007, Retry::Now, "lost"));
    let cases = [
        (outcome(Err(function_error("threw"))), Kind::FunctionError, Then::RetryFunction),
        (outcome(Err(input_error("bad value"))), Kind::InputError, Then::Nothing),
        (backend(Retry::Now), Kind::SystemError, Then::RetryEngine),
        (backend(Retry::Never), Kind::SystemError, Then::Nothing),
        (lost(), Kind::SystemError, Then::EnsureAgain),
        (Err(Error::caller(code::ENGINE003, "no")), Kind::FunctionError, Then::Nothing),
    ];
    for (answer, kind, then) in cases {
        let version = version(TestEngine::new(move |_, _| {
            let answer = answer.clone();
            async move { answer }
        }));
        let seen = failed(&version, &mut run(None)).await;
        assert_eq!((seen.0, seen.2), (kind, then), "{}", seen.1);
    }
}

#[tokio::test]
async fn what_one_deployment_says_keeps_no_other_from_its_engine() {
    let failed = |code| Error::backend(code, Retry::After(Duration::from_secs(7)), "no");
    let full = failed(code::ENGINE005).unreached();
    let pause = Ending::Full { retry_after_ns: Some(7_000_000_000) };
    let cases = [
        (full.clone(), pause),
        (full.of_deployment(), Ending::Abandoned),
        (failed(code::ENGINE006), Ending::BackendFailed),
        (failed(code::ENGINE006).of_deployment(), Ending::FunctionFailed),
        (failed(code::ENGINE006).unreached().of_deployment(), Ending::Abandoned),
        (failed(code::ENGINE007).unreached(), Ending::Abandoned),
    ];
    for (error, ending) in cases {
        let answer = error.clone();
        let version = version(TestEngine::new(move |_, _| {
            let answer = answer.clone();
            async move { Err(answer) }
        }));
        let deadline = Instant::now() + Duration::from_secs(5);
        let needs = Needs { request_id: "r", secrets: &[], max_output: MAX_OUTPUT, deadline };
        let own = version.own_secrets().await.unwrap();
        let place = version.places.first();
        let seen = attempt(&version, &own, place, &mut run(None), &needs).await;
        assert_eq!(seen.ending, ending, "{error:?}");
        assert_eq!(seen.then == Then::RetryEngine, error.code != code::ENGINE007);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_is_given_up() {
    let version = version(TestEngine::new(|_, _| std::future::pending()));
    let (kind, _, then) = failed(&version, &mut run(None)).await;
    assert_eq!((kind, then), (Kind::SystemError, Then::RetryEngine));
}

#[tokio::test]
async fn an_engine_that_panics_fails_the_run_only() {
    let version = version(TestEngine::new(|_, _| async { panic!("on purpose") }));
    let (kind, message, then) = failed(&version, &mut run(None)).await;
    assert_eq!((kind, then), (Kind::SystemError, Then::RetryEngine));
    assert!(message.contains("panicked") && !message.contains("purpose"), "{message}");
}

#[tokio::test]
async fn secrets_reach_the_context_and_nothing_else() {
    let seen = TestEngine::new(|_, call| async move { ok(call.context) });
    let mut version = version(seen);
    let secret = |name: &str| secret(name, &[(name, "canary")]);
    version.secrets = Ok(OwnSecrets::new(vec![Arc::new(Held::Opened(secret("own")))]));
    let mut run = run(None);
    let (secrets, deadline) = ([secret("more")], Instant::now() + version.timeout);
    let needs = Needs { request_id: "r-7", secrets: &secrets, max_output: MAX_OUTPUT, deadline };
    let own = version.own_secrets().await.unwrap();
    attempt(&version, &own, version.places.first(), &mut run, &needs).await;
    let context: Value = serde_json::from_str(run.output.take().unwrap().get()).unwrap();
    assert_eq!(context["secrets"], json!({"own": "canary", "more": "canary"}));
    assert_eq!((&context["requestId"], &context["attempt"]), (&json!("r-7"), &json!(1)));
    assert!(!format!("{run:?}").contains("canary"));
    let used: Vec<_> = run.secrets_used.as_slice().iter().map(|used| used.name.as_str()).collect();
    assert_eq!(used, ["more", "own"]);
}

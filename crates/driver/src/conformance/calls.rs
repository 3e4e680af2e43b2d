//! Cases of calls: what goes in, what comes out, and how they end.

use std::time::{Duration, Instant};

use dispatch_model::Logs;
use serde_json::{Value, json};

use super::trial::{LONG, Trial, answer, call, check, ended, function_error, must};
use super::{Program, Stop, Tried};

/// Time of a function that is too slow.
const SHORT: Duration = Duration::from_millis(1_000);
/// How long it would take.
const ENDLESS_MS: u64 = 30_000;
/// Calls that are given up, one after another.
const ABANDONED: usize = 5;

pub async fn health(trial: &Trial<'_>) -> Tried<()> {
    let engine = trial.engine();
    let health = engine.health().await;
    check(health.ok, || format!("it is not healthy: {}", health.message))?;
    check(!health.message.is_empty(), || "its health says nothing".to_owned())?;
    let can = engine.capabilities();
    let any = !can.languages.is_empty() || !can.on_images.is_empty();
    check(any, || format!("it runs no language: {can:?}"))
}

pub async fn echo(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-7),
        json!(9_007_199_254_740_991_i64),
        json!(0.1),
        json!(1.5e300),
        json!(""),
        json!("Grüße, 世界, 👋🏽, \u{0}, \u{1f}, \u{2028}, \", \\, /"),
        json!([]),
        json!([[[null]], {}]),
        json!({"": {"ключ": [1, "zwei", 3.5, null]}, "a b": false}),
    ];
    for value in values {
        let back = trial.answer(id, json!({"echo": value})).await?;
        check(back == value, || format!("{value} came back as {back}"))?;
    }
    Ok(())
}

pub async fn context(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let call = call(&json!({"context": true}), LONG);
    let sent: Value = serde_json::from_slice(&call.context).expect("it was made as JSON");
    let got = answer(must("invoke", trial.engine().invoke(id, call).await)?)?;
    // Drivers may add to it.
    for (key, value) in sent.as_object().into_iter().flatten() {
        check(got[key] == *value, || format!("context.{key}, {value}, arrived as {}", got[key]))?;
    }
    Ok(())
}

pub async fn environment(trial: &Trial<'_>) -> Tried<()> {
    const NAME: &str = "CONFORMANCE_WORD";
    const WORD: &str = "a wörd, with =, \", $$ and $(CONFORMANCE_WORD) in it";
    let mut deployment = trial.deployment(Program::Conformance).await?;
    deployment.environment.insert(NAME.to_owned(), WORD.to_owned());
    trial.build(&deployment).await?;
    let got = trial.answer(deployment.id, json!({"environment": NAME})).await?;
    check(got == WORD, || format!("{WORD:?} arrived as {got}"))
}

pub async fn logs(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let lines = |word: &str| Logs {
        stdout: vec![format!("{word} out")],
        stderr: vec![format!("{word} err")],
    };
    let same = |got: &Logs, want: &Logs| check(got == want, || format!("{want:?} came as {got:?}"));
    for word in ["one", "zwei ü"] {
        let outcome = trial.outcome(id, json!({"print": word, "echo": 1})).await?;
        same(&outcome.logs, &lines(word))?;
        let quiet = trial.outcome(id, json!({"echo": 1})).await?;
        same(&quiet.logs, &Logs::default())?;
    }
    let failed = trial.outcome(id, json!({"print": "last", "fail": "on purpose"})).await?;
    let (_, logs) = function_error(failed)?;
    same(&logs, &lines("last"))
}

pub async fn failure(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let (error, _) = function_error(trial.outcome(id, json!({"fail": "on purpose ü"})).await?)?;
    let words = || format!("the handler's words are not in {:?}", error.message);
    check(error.message.contains("on purpose ü"), words)?;
    check(!error.stacktrace.is_empty(), || "there is no stack trace".to_owned())?;
    let back = trial.answer(id, json!({"echo": "well"})).await?;
    check(back == "well", || format!("the next call returned {back}"))
}

pub async fn payload(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let most = trial.limits.payload_bytes;
    let length = most - r#"{"length":""}"#.len();
    let sent = "x".repeat(length);
    let got = trial.answer(id, json!({"length": sent})).await?;
    check(got == length, || format!("of a payload of {most} bytes, {got} arrived"))?;
    // With its quotes.
    let got = trial.answer(id, json!({"big": most - 2})).await?;
    let length = got.as_str().map_or(0, str::len);
    check(length == most - 2, || format!("of a result of {most} bytes, {length} arrived"))
}

pub async fn concurrency(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let calls = (0..trial.limits.calls).map(|n| {
        let engine = trial.engine();
        let payload = json!({"sleep_ms": 50, "echo": n});
        (n, tokio::spawn(async move { engine.invoke(id, call(&payload, LONG)).await }))
    });
    let calls: Vec<_> = calls.collect();
    for (n, call) in calls {
        let back = answer(ended(call).await?)?;
        check(back == n, || format!("call {n} was answered {back}"))?;
    }
    Ok(())
}

pub async fn deadline(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    late(trial, id).await
}

pub async fn timeout(trial: &Trial<'_>) -> Tried<()> {
    let mut deployment = trial.deployment(Program::Conformance).await?;
    deployment.timeout = trial.limits.timeout;
    trial.build(&deployment).await?;
    late(trial, deployment.id).await
}

/// A call that takes too long ends in time, and the next is served.
async fn late(trial: &Trial<'_>, id: uuid::Uuid) -> Tried<()> {
    let begun = Instant::now();
    let slow = call(&json!({"sleep_ms": ENDLESS_MS, "echo": 1}), SHORT);
    let outcome = must("invoke", trial.engine().invoke(id, slow).await)?;
    let took = begun.elapsed();
    let (error, _) = function_error(outcome)?;
    let words = || format!("\"timed out\" is not in {:?}", error.message);
    check(error.message.contains("timed out"), words)?;
    // Half of the way to the handler's own end is far too late on any machine.
    let late = Duration::from_millis(ENDLESS_MS / 2);
    check(took < late, || format!("a call of {SHORT:?} ended after {took:?}"))?;
    trial.answered(id).await
}

pub async fn exit(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.built(Program::Conformance).await?.id;
    let engine = trial.engine();
    match engine.invoke(id, call(&json!({"exit": 7}), LONG)).await {
        Ok(outcome) => {
            let (error, _) = function_error(outcome)?;
            check(!error.message.is_empty(), || "the error says nothing".to_owned())?;
        }
        // Where the process is all there is, nobody is left to tell what became of the call.
        Err(error) => {
            let told = error.reached == crate::Reached::Maybe;
            let words = super::bed::words(&error);
            check(told, || format!("the handler had begun, but the error is {words}"))?;
        }
    }
    trial.answered(id).await
}

pub async fn cancel(trial: &Trial<'_>) -> Tried<()> {
    let id = trial.shared().await?;
    let engine = trial.engine();
    for _ in 0..ABANDONED {
        let slow = call(&json!({"sleep_ms": 2_000, "echo": "old"}), LONG);
        let slow = engine.invoke(id, slow);
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(200), slow).await {
            let ended = must("invoke", ended).and_then(answer);
            return Err(Stop::failed(format!("a call of 2 s ended within 0.2 s: {ended:?}")));
        }
    }
    for n in 0..ABANDONED {
        let back = trial.answer(id, json!({"echo": n})).await?;
        check(back == n, || format!("call {n} after the abandoned ones was answered {back}"))?;
    }
    let idle = async || (engine.workers().0 == 0).then_some(());
    trial.until("no worker is busy when nobody waits for one", idle).await
}

//! One attempt at a run: check, call, check. Touches no database.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dispatch_driver::{Call, Error, Fault, Outcome, Phases, Reached, Retry, Scope};
use dispatch_model::{InvocationError, InvocationErrorType, RawJson, Run, State, code};
use dispatch_placement::Ending;
use futures::FutureExt as _;
use uuid::Uuid;

use super::callable::{Version, function_error, input_error, system_error};
use super::context::Context;
use super::json;
use super::places::Place;
use super::secrets::Merged;
use crate::secrets::Opened;

/// How long after its deadline an engine may still answer before the call is given up. Engines
/// keep deadlines themselves; this catches one that does not.
const ENGINE_GRACE: Duration = Duration::from_secs(5);

/// What an attempt needs beside the run and its function.
pub struct Needs<'a> {
    pub request_id: &'a str,
    /// Opened secrets the run names beside the function's own.
    pub secrets: &'a [Arc<Opened>],
    /// Bytes.
    pub max_output: usize,
    /// When the run is to have ended, however many attempts it takes.
    pub deadline: Instant,
}

/// What came of an attempt beside what the run now says.
#[derive(Debug, Clone, Copy)]
pub struct Attempted {
    pub phases: Phases,
    pub then: Then,
    /// Whether its handler may have begun.
    pub reached: Reached,
    /// What the engine's circuit breaker learns of it.
    pub ending: Ending,
}

/// What can be done after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It succeeded, or would fail again.
    Nothing,
    /// The function failed; its own `retries` say whether it is tried again.
    RetryFunction,
    /// The engine failed and may do better later.
    RetryEngine,
    /// The engine does not hold the deployment.
    EnsureAgain,
}

/// Runs the function once, given its `own` secrets, and writes into `run` what came of it, its end
/// included.
pub async fn attempt(
    version: &Version,
    own: &Merged,
    place: &Place,
    run: &mut Run,
    needs: &Needs<'_>,
) -> Attempted {
    run.executed_us = Some(now_us());
    run.faas_id = Some(version.faas_id);
    run.version = Some(version.number);
    run.engine = Some(place.state.name().to_owned());
    let mut phases = Phases::default();
    let (mut then, mut reached) = (Then::Nothing, Reached::Maybe);
    let mut ending = Ending::Ok;
    let result = match prepare(version, own, run, needs) {
        Err(error) => {
            (then, reached) = (Then::of_failure(&error), Reached::No);
            ending = Ending::Abandoned;
            Err(error)
        }
        Ok(call) => match invoke(place, version.faas_id, call).await {
            Err(error) => {
                (then, reached) = (Then::of_engine(&error), error.reached);
                ending = ending_of(&error);
                Err(of_engine(&error))
            }
            Ok(outcome) => {
                phases = outcome.phases;
                run.logs = outcome.logs;
                let result = outcome.result.and_then(|out| accept(version, out, needs.max_output));
                if let Err(error) = &result {
                    ending = Ending::FunctionFailed;
                    then = Then::of_failure(error);
                }
                result
            }
        },
    };
    finish(run, result);
    Attempted { phases, then, reached, ending }
}

/// Writes the end of a run into it.
pub fn finish(run: &mut Run, result: Result<RawJson, InvocationError>) {
    run.finished_us = Some(now_us());
    match result {
        Ok(output) => {
            run.state = State::Ready;
            run.output = Some(output);
            run.error = None;
            run.reason.clear();
        }
        Err(error) => {
            run.state = State::Error;
            run.output = None;
            run.reason = vec![error.message.clone()];
            run.error = Some(error);
        }
    }
}

fn prepare(
    version: &Version,
    own: &Merged,
    run: &mut Run,
    needs: &Needs<'_>,
) -> Result<Call, InvocationError> {
    if let Some(schema) = &version.schema_in {
        let input = run.input.as_ref().map_or("null", |json| json.get());
        schema.check(input).map_err(|e| input_error(format!("input breaks schema.in: {e}")))?;
    }
    let more = (!needs.secrets.is_empty()).then(|| own.with(needs.secrets));
    let secrets = more.as_ref().unwrap_or(own);
    run.secrets_used = secrets.uses();
    let timeout_ms = millis(version.timeout);
    let rest_ms = millis(needs.deadline.saturating_duration_since(Instant::now()));
    let context = Context {
        secrets: secrets.json(),
        http_context: run.http_context.as_ref(),
        event: run.event.as_ref(),
        deadline_ms: now_us() / 1_000 + i64::try_from(rest_ms).unwrap_or(i64::MAX / 2),
        timeout_ms,
        run_id: run.id,
        request_id: needs.request_id,
        attempt: run.attempts,
    };
    Ok(Call {
        run_id: run.id,
        context: context.to_bytes(),
        payload: run.input.as_ref().map_or(Bytes::from_static(b"null"), RawJson::bytes),
        deadline: needs.deadline,
    })
}

async fn invoke(place: &Place, id: Uuid, call: Call) -> Result<Outcome, Error> {
    let limit = tokio::time::Instant::from_std(call.deadline + ENGINE_GRACE);
    // An engine that panics must not take the run with it: a queued one would be begun for ever.
    let answer = AssertUnwindSafe(place.engine.invoke(id, call)).catch_unwind();
    let failed = |what| Err(Error::ours(code::ENGINE006, what));
    match tokio::time::timeout_at(limit, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => failed("the engine panicked"),
        Err(_) => failed("the engine did not answer by the deadline of the call"),
    }
}

fn accept(version: &Version, output: RawJson, max: usize) -> Result<RawJson, InvocationError> {
    let size = output.get().len();
    if size > max {
        let message = format!("the output is {size} bytes long, at most {max} are allowed");
        return Err(function_error(message));
    }
    json::check_depth(output.get().as_bytes())
        .map_err(|v| function_error(format!("the output {}", v.rule)))?;
    if let Some(schema) = &version.schema_out {
        let checked = schema.check(output.get());
        checked.map_err(|e| function_error(format!("output breaks schema.out: {e}")))?;
    }
    Ok(output)
}

impl Then {
    /// A wrong input stays wrong; everything else may go better the next time.
    pub fn of_failure(error: &InvocationError) -> Then {
        match error.kind {
            InvocationErrorType::InputError => Then::Nothing,
            InvocationErrorType::FunctionError => Then::RetryFunction,
            InvocationErrorType::SystemError => Then::RetryEngine,
        }
    }

    fn of_engine(error: &Error) -> Then {
        if error.code == code::ENGINE007 {
            return Then::EnsureAgain;
        }
        match error.retry {
            Retry::Never => Then::Nothing,
            Retry::Now | Retry::After(_) => Then::RetryEngine,
        }
    }
}

/// An engine's error as the run shows it. What the author of the function has to change is a
/// FunctionError; all else is ours.
fn of_engine(error: &Error) -> InvocationError {
    let message = format!("{}: {}", error.code, error.message);
    match error.fault {
        Fault::Caller => function_error(message),
        Fault::Backend | Fault::Ours => system_error(message),
    }
}

/// What an error says of the engine itself.
fn ending_of(error: &Error) -> Ending {
    match (error.fault, error.retry) {
        // Nothing is wrong with the engine: it was asked for what it does not have.
        _ if error.code == code::ENGINE007 => Ending::Abandoned,
        (Fault::Caller, _) => Ending::FunctionFailed,
        // Nor when the deployment had no room, or did not answer.
        _ if error.scope == Scope::Deployment && error.reached == Reached::No => Ending::Abandoned,
        _ if error.scope == Scope::Deployment => Ending::FunctionFailed,
        (_, retry) if error.code == code::ENGINE005 => {
            let retry_after_ns = match retry {
                Retry::After(time) => u64::try_from(time.as_nanos()).ok(),
                Retry::Now | Retry::Never => None,
            };
            Ending::Full { retry_after_ns }
        }
        _ => Ending::BackendFailed,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Now, in unix microseconds.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

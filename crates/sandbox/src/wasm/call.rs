//! One call of a deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dispatch_driver::{Call, Error, Result};
use dispatch_model::{InvocationError, InvocationErrorType, Logs, RawJson, code};
use wasmtime::Store;

use super::bindings::FunctionPre;
use super::component::Entry;
use super::deployed::Deployed;
use super::guest::{self, Guest};
use super::{failure, http_call, json};

/// What a guest answered, or why it did not.
pub type Answer = std::result::Result<RawJson, InvocationError>;

/// Runs one instance from its making to its end, at the latest at the call's deadline.
pub async fn run(deployed: &Arc<Deployed>, call: &Call) -> Result<(Answer, Logs)> {
    let allowed = call.deadline.saturating_duration_since(Instant::now());
    let mut store = guest::store(deployed, call.deadline);
    let context = text(&call.context)?;
    let payload = text(&call.payload)?;
    let work = async {
        match &deployed.compiled.entry {
            Entry::Function(pre) => function(pre, &mut store, context, payload).await,
            Entry::Http(pre) => http_call::run(pre, &mut store, context, &call.payload).await,
        }
    };
    // The store ends a guest that computes; this ends one that waits.
    let ended = tokio::time::timeout_at(call.deadline.into(), work).await;
    let answer = match ended {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(failed(&error, allowed, deployed)?),
        Err(_) => Err(failure::timed_out(rounded(allowed))),
    };
    Ok((answer, store.data_mut().take_logs()))
}

/// Makes an instance and drops it: proves that the component loads and is what it says.
pub async fn try_out(deployed: &Arc<Deployed>) -> Result<()> {
    let mut store = guest::store(deployed, Instant::now() + deployed.timeout);
    let made = async {
        match &deployed.compiled.entry {
            Entry::Function(pre) => pre.instantiate_async(&mut store).await.map(drop),
            Entry::Http(pre) => pre.instantiate_async(&mut store).await.map(drop),
        }
    };
    let ended = tokio::time::timeout(deployed.timeout, made).await;
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let failure = failed(&error, deployed.timeout, deployed)?;
            let message = format!("the component does not load: {}", failure.message);
            Err(Error::caller(code::ENGINE003, message))
        }
        Err(_) => {
            let message = format!("loading timed out after {} ms", deployed.timeout.as_millis());
            Err(Error::caller(code::ENGINE003, message))
        }
    }
}

async fn function(
    pre: &FunctionPre<Guest>,
    store: &mut Store<Guest>,
    context: &str,
    payload: &str,
) -> wasmtime::Result<Answer> {
    let max = store.data().max_payload_bytes();
    let instance = pre.instantiate_async(&mut *store).await?;
    Ok(match instance.call_handle(store, context, payload).await? {
        Ok(answer) => json::accept(answer, max),
        Err(error) => Err(InvocationError {
            kind: InvocationErrorType::FunctionError,
            message: error.message,
            stacktrace: error.stacktrace,
        }),
    })
}

/// The function's failure; an error when it is the engine that failed.
fn failed(
    error: &wasmtime::Error,
    allowed: Duration,
    deployed: &Deployed,
) -> Result<InvocationError> {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Err(Error::ours(code::ENGINE006, format!("no instance could be made: {error}")));
    }
    Ok(failure::of_call(error, rounded(allowed), deployed.memory_mib()))
}

/// The time a call was given, without the microseconds that were gone when it was read.
fn rounded(allowed: Duration) -> Duration {
    Duration::from_millis((allowed.as_micros() as u64).div_ceil(1_000))
}

fn text(json: &Bytes) -> Result<&str> {
    std::str::from_utf8(json)
        .map_err(|_| Error::ours(code::ENGINE006, "a call's context or payload is not UTF-8"))
}

//! Cases of trouble: drivers that start again, and systems that are away.

use std::time::{Duration, Instant};

use serde_json::json;

use super::bed::words;
use super::life::is_unknown;
use super::trial::{Trial, answer, call, check, must};
use super::{Program, Stop, Tried};
use crate::{Deployment, Error, Fault, Observed, Reached, Retry};

/// Time of calls that cannot be answered.
const SHORT: Duration = Duration::from_secs(10);

pub async fn restart(trial: &Trial<'_>) -> Tried<()> {
    let kept = trial.built(Program::Conformance).await?;
    let dropped = trial.built(Program::Conformance).await?;
    trial.answered(kept.id).await?;
    trial.bed.restart().await?;
    let engine = trial.engine();
    match engine.invoke(kept.id, call(&json!({"echo": 1}), SHORT)).await {
        Ok(outcome) => drop(answer(outcome)?),
        Err(error) => check(is_unknown(&error), || {
            format!("before it is ensured, a call ends with {}", words(&error))
        })?,
    }
    must("ensure", engine.ensure(&kept).await)?;
    trial.answered(kept.id).await?;
    trial.observed(kept.id, "ensured", |o| matches!(o, Observed::Ready { .. })).await?;
    // Removing needs the id only.
    must("remove", engine.remove(dropped.id).await)?;
    trial.observed(dropped.id, "removed", |o| *o == Observed::Absent).await
}

pub async fn outage(trial: &Trial<'_>) -> Tried<()> {
    let deployment = trial.built(Program::Conformance).await?;
    let other = trial.deployment(Program::Conformance).await?;
    trial.answered(deployment.id).await?;
    trial.bed.outage(true).await?;
    let begun = Instant::now();
    let seen = away(trial, &deployment, &other).await;
    // Calls go on while it is away: nothing may pile up.
    while seen.is_ok() && begun.elapsed() < trial.limits.outage {
        if let Err(stop) = refused(trial, &deployment).await {
            trial.bed.outage(false).await?;
            return Err(stop);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    trial.bed.outage(false).await?;
    seen?;
    back(trial, &deployment).await?;
    let healthy = async || trial.engine().health().await.ok.then_some(());
    trial.until("the engine is healthy when its system is back", healthy).await?;
    trial.build(&other).await?;
    trial.answered(other.id).await
}

/// What an engine does whose system is away.
async fn away(trial: &Trial<'_>, deployment: &Deployment, other: &Deployment) -> Tried<()> {
    refused(trial, deployment).await?;
    let engine = trial.engine();
    let health = trial.until("the engine is not healthy when its system is away", async || {
        Some(engine.health().await).filter(|health| !health.ok)
    });
    let health = health.await?;
    check(!health.message.is_empty(), || "its health does not say what is wrong".to_owned())?;
    let Err(error) = engine.build(other).await else {
        return Err(Stop::failed("a deployment is built in a system that is away"));
    };
    check(is_passing(&error), || format!("build ends with {}", words(&error)))?;
    let Err(error) = engine.remove(deployment.id).await else {
        return Err(Stop::failed("a deployment is removed from a system that is away"));
    };
    check(is_passing(&error), || format!("remove ends with {}", words(&error)))?;
    Ok(())
}

/// A call is refused before it got anywhere, so that it may be sent elsewhere. After `remove`
/// was tried it may be unknown, too.
async fn refused(trial: &Trial<'_>, deployment: &Deployment) -> Tried<()> {
    let engine = trial.engine();
    let ask = || engine.invoke(deployment.id, call(&json!({"echo": 1}), SHORT));
    let mut answer = ask().await;
    // On a connection that was cut a moment ago nobody can tell how far the first one got.
    if let Err(error) = &answer
        && error.reached == Reached::Maybe
        && is_passing(error)
    {
        answer = ask().await;
    }
    match answer {
        Ok(outcome) => {
            let result = outcome.result.map(|r| r.get().to_owned());
            Err(Stop::failed(format!("the system is away, but a call ends with {result:?}")))
        }
        Err(error) => {
            let right = error.reached == Reached::No && (is_passing(&error) || is_unknown(&error));
            check(right, || format!("the system is away, and a call ends with {}", words(&error)))
        }
    }
}

fn is_passing(error: &Error) -> bool {
    error.fault == Fault::Backend && error.retry != Retry::Never
}

/// The deployment answers again, made anew where the system has lost it.
async fn back(trial: &Trial<'_>, deployment: &Deployment) -> Tried<()> {
    let engine = trial.engine();
    let ensured = async || engine.ensure(deployment).await.ok();
    trial.until("a deployment can be ensured when the system is back", ensured).await?;
    trial.answered(deployment.id).await
}

//! Cases of deployments: how they come, change and go.

use serde_json::json;
use uuid::Uuid;

use super::bed::words;
use super::trial::{LONG, Trial, answer, call, check, ended, must};
use super::{Program, Stop, Tried};
use crate::{Error, Fault, Observed, Reached};

fn is_ready(observed: &Observed) -> bool {
    matches!(observed, Observed::Ready { .. })
}

fn is_absent(observed: &Observed) -> bool {
    *observed == Observed::Absent
}

pub async fn observe(trial: &Trial<'_>) -> Tried<()> {
    let deployment = trial.deployment(Program::Conformance).await?;
    let id = deployment.id;
    trial.observed(id, "not made yet", is_absent).await?;
    trial.build(&deployment).await?;
    trial.observed(id, "built", is_ready).await?;
    must("remove", trial.engine().remove(id).await)?;
    trial.observed(id, "removed", is_absent).await
}

pub async fn deploy_twice(trial: &Trial<'_>) -> Tried<()> {
    let deployment = trial.built(Program::Conformance).await?;
    let busy = trial.busy(deployment.id).await?;
    trial.build(&deployment).await?;
    trial.build(&deployment).await?;
    let version = answer(ended(busy).await?)?;
    check(version == 1, || format!("the call under way returned {version}"))?;
    trial.answered(deployment.id).await?;
    // Nothing is left over of the second time.
    must("remove", trial.engine().remove(deployment.id).await)?;
    trial.observed(deployment.id, "removed", is_absent).await
}

pub async fn update(trial: &Trial<'_>) -> Tried<()> {
    let old = trial.built(Program::Conformance).await?;
    let busy = trial.busy(old.id).await?;
    let mut new = trial.deployment(Program::Second).await?;
    new.function = old.function.clone();
    trial.build(&new).await?;
    let version = async |id| trial.answer(id, json!({"version": true})).await;
    let (new_says, old_says) = (version(new.id).await?, version(old.id).await?);
    let both = old_says == 1 && new_says == 2;
    check(both, || format!("the old one answers {old_says}, the new one {new_says}"))?;
    let during = answer(ended(busy).await?)?;
    check(during == 1, || format!("a call that began on the old one returned {during}"))?;
    must("remove", trial.engine().remove(old.id).await)?;
    let after = version(new.id).await?;
    check(after == 2, || format!("when the old one is gone, the new one answers {after}"))
}

pub async fn broken(trial: &Trial<'_>) -> Tried<()> {
    let deployment = trial.deployment(Program::Broken).await?;
    let said = trial.limits.broken;
    let Err(error) = trial.engine().build(&deployment).await else {
        return Err(Stop::failed("a handler that does not load is built"));
    };
    let right = error.fault == Fault::Caller && error.code == "ENGINE003";
    check(right, || format!("it is not its author's ENGINE003, but {}", words(&error)))?;
    let told = error.message.contains(said);
    check(told, || format!("{said:?} is not in what the author reads: {}", error.message))?;
    trial.observed(deployment.id, "not built", is_absent).await
}

pub async fn remove_running(trial: &Trial<'_>) -> Tried<()> {
    let deployment = trial.built(Program::Conformance).await?;
    let busy = trial.busy(deployment.id).await?;
    must("remove", trial.engine().remove(deployment.id).await)?;
    let version = answer(ended(busy).await?)?;
    check(version == 1, || format!("the call under way returned {version}"))?;
    gone(trial, deployment.id).await?;
    trial.observed(deployment.id, "removed", is_absent).await
}

pub async fn remove(trial: &Trial<'_>) -> Tried<()> {
    let deployment = trial.built(Program::Conformance).await?;
    trial.answered(deployment.id).await?;
    must("remove", trial.engine().remove(deployment.id).await)?;
    gone(trial, deployment.id).await?;
    must("a second remove", trial.engine().remove(deployment.id).await)?;
    // The same id may come back.
    trial.build(&deployment).await?;
    trial.answered(deployment.id).await
}

pub async fn unknown(trial: &Trial<'_>) -> Tried<()> {
    let id = Uuid::now_v7();
    must("remove", trial.engine().remove(id).await)?;
    gone(trial, id).await?;
    trial.observed(id, "unknown", is_absent).await
}

/// A call of what is not there did not reach anything, and says so.
async fn gone(trial: &Trial<'_>, id: Uuid) -> Tried<()> {
    match trial.engine().invoke(id, call(&json!({"echo": 1}), LONG)).await {
        Ok(outcome) => {
            let result = outcome.result.map(|r| r.get().to_owned());
            Err(Stop::failed(format!("what is not there answers {result:?}")))
        }
        Err(error) => check(is_unknown(&error), || {
            format!("calling what is not there is no unreached ENGINE007, but {}", words(&error))
        }),
    }
}

pub fn is_unknown(error: &Error) -> bool {
    error.code == "ENGINE007" && error.reached == Reached::No
}

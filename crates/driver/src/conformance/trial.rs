//! What the cases do with an engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dispatch_model::{InvocationError, InvocationErrorType, Logs};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::bed::words;
use super::{Bed, Limits, Program, Stop, Tried};
use crate::{Call, Deployment, Engine, Observed, Outcome, Result};

/// Time of a call that is meant to succeed; wide, as machines that test are busy.
pub const LONG: Duration = Duration::from_secs(60);
/// Between two looks at something.
const LOOK: Duration = Duration::from_millis(20);
/// What a call that is under way needs at most to get from the driver to its handler. Nothing
/// tells from outside when it is there, so this is waited for in full.
const SETTLE: Duration = Duration::from_millis(500);
/// How long handlers take that something else happens beside, in milliseconds.
pub const BUSY_MS: u64 = 2_000;

/// One run of the suite.
pub struct Trial<'a> {
    pub bed: &'a dyn Bed,
    pub limits: Limits,
    /// For cases that need a function and nothing of their own.
    shared: OnceCell<Deployment>,
    /// What the case under way has made.
    made: Mutex<Vec<Uuid>>,
}

impl<'a> Trial<'a> {
    pub fn new(bed: &'a dyn Bed) -> Self {
        Self { bed, limits: bed.limits(), shared: OnceCell::new(), made: Mutex::default() }
    }

    pub fn engine(&self) -> Arc<dyn Engine> {
        self.bed.engine()
    }

    /// A deployment that is removed when the case ends.
    pub async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let deployment = self.bed.deployment(program).await?;
        self.made().push(deployment.id);
        Ok(deployment)
    }

    /// Builds it, and makes it callable.
    pub async fn build(&self, deployment: &Deployment) -> Tried<()> {
        let engine = self.engine();
        must("build", engine.build(deployment).await)?;
        must("ensure", engine.ensure(deployment).await)
    }

    /// A deployment that can be called.
    pub async fn built(&self, program: Program) -> Tried<Deployment> {
        let deployment = self.deployment(program).await?;
        self.build(&deployment).await?;
        Ok(deployment)
    }

    /// One that can be called, the same for all cases that ask.
    pub async fn shared(&self) -> Tried<Uuid> {
        let shared = self.shared.get_or_try_init(async || {
            let deployment = self.bed.deployment(Program::Conformance).await?;
            self.build(&deployment).await?;
            Ok(deployment)
        });
        shared.await.map(|deployment| deployment.id)
    }

    /// Removes what the case has made.
    pub async fn clean(&self) {
        let made = std::mem::take(&mut *self.made());
        for id in made {
            // Whether that works is a case of its own.
            let _ = self.engine().remove(id).await;
        }
    }

    /// Removes what was made for all.
    pub async fn end(&self) {
        if let Some(shared) = self.shared.get() {
            let _ = self.engine().remove(shared.id).await;
        }
    }

    /// The outcome of a call that has to reach its handler.
    pub async fn outcome(&self, id: Uuid, payload: Value) -> Tried<Outcome> {
        must("invoke", self.engine().invoke(id, call(&payload, LONG)).await)
    }

    /// What a call that has to go well returned.
    pub async fn answer(&self, id: Uuid, payload: Value) -> Tried<Value> {
        answer(self.outcome(id, payload).await?)
    }

    /// A call that is under way in its handler, and will be for [`BUSY_MS`].
    pub async fn busy(&self, id: Uuid) -> Tried<JoinHandle<Result<Outcome>>> {
        let engine = self.engine();
        let payload = json!({"sleep_ms": BUSY_MS, "version": true});
        let call = tokio::spawn(async move { engine.invoke(id, call(&payload, LONG)).await });
        self.until("a call under way counts as a busy worker", async || {
            (self.engine().workers().0 > 0).then_some(())
        })
        .await?;
        tokio::time::sleep(SETTLE).await;
        match call.is_finished() {
            false => Ok(call),
            true => {
                let ended = ended(call).await.and_then(answer);
                Err(Stop::failed(format!("a call of {BUSY_MS} ms ended at once: {ended:?}")))
            }
        }
    }

    /// Calls until it is answered: for engines that may need a moment after a blow.
    pub async fn answered(&self, id: Uuid) -> Tried<()> {
        let mut last = String::new();
        let ends = Instant::now() + self.limits.patience;
        while Instant::now() < ends {
            match self.answer(id, json!({"echo": "well"})).await {
                Ok(value) if value == "well" => return Ok(()),
                Ok(other) => return Err(Stop::failed(format!("\"well\" came back as {other}"))),
                Err(Stop::Failed(why)) => last = why,
                Err(stop) => return Err(stop),
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Stop::failed(format!("calls do not go well again: {last}")))
    }

    /// Waits until it is observed so.
    pub async fn observed(&self, id: Uuid, what: &str, is: fn(&Observed) -> bool) -> Tried<()> {
        let mut last = String::new();
        let seen = self.until("", async || {
            let observed = self.engine().observe(id).await;
            let right = observed.as_ref().is_ok_and(is);
            last = observed.map_or_else(|error| words(&error), |seen| format!("{seen:?}"));
            right.then_some(())
        });
        let seen = seen.await;
        seen.map_err(|_| Stop::failed(format!("a deployment that is {what} is observed: {last}")))
    }

    /// Looks until there is something.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Tried<T> {
        let ends = Instant::now() + self.limits.patience;
        loop {
            if let Some(found) = look().await {
                return Ok(found);
            }
            if Instant::now() > ends {
                let limit = self.limits.patience.as_secs();
                return Err(Stop::failed(format!("within {limit} s it did not come true: {what}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<Uuid>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call as a server makes it.
pub fn call(payload: &Value, time: Duration) -> Call {
    let run_id = Uuid::now_v7();
    let context = json!({
        "secrets": {"password": "pass wörd", "empty": ""},
        "serviceBindings": {},
        "timeout": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        "runId": run_id,
        "attempt": 1,
    });
    Call {
        run_id,
        context: context.to_string().into(),
        payload: Bytes::from(payload.to_string()),
        deadline: Instant::now() + time,
    }
}

/// What has to work.
pub fn must<T>(what: &str, result: Result<T>) -> Tried<T> {
    result.map_err(|error| Stop::failed(format!("{what} fails with {}", words(&error))))
}

/// What has to be.
pub fn check(is: bool, why: impl FnOnce() -> String) -> Tried<()> {
    if is { Ok(()) } else { Err(Stop::Failed(why())) }
}

/// What a call that has to go well returned.
pub fn answer(outcome: Outcome) -> Tried<Value> {
    let result = outcome.result.map_err(|error| {
        let text = format!("a call that should go well fails: {}", error.message);
        Stop::failed(text)
    })?;
    let parsed = serde_json::from_str(result.get());
    parsed.map_err(|error| Stop::failed(format!("a result is no JSON ({error})")))
}

/// How a call failed that has to fail by its function.
pub fn function_error(outcome: Outcome) -> Tried<(InvocationError, Logs)> {
    let error = match outcome.result {
        Ok(result) => {
            return Err(Stop::failed(format!("a call that should fail returned {}", result.get())));
        }
        Err(error) => error,
    };
    let right = error.kind == InvocationErrorType::FunctionError;
    check(right, || format!("it is a {:?}, not a FunctionError: {}", error.kind, error.message))?;
    Ok((error, outcome.logs))
}

/// The outcome of a call that was under way.
pub async fn ended(call: JoinHandle<Result<Outcome>>) -> Tried<Outcome> {
    let ended = call.await.map_err(|error| Stop::failed(format!("the driver broke: {error}")))?;
    must("a call under way", ended)
}

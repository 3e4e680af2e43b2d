//! From a function's name to an attempt: what blocking and queued runs have in common.

use std::sync::Arc;

use dispatch_driver::{Phases, Reached};
use dispatch_model::function_version::Qualifier;
use dispatch_model::secret::SecretUses;
use dispatch_model::{InvocationError, InvocationErrorType, Logs, Name, OrgName, Run, State, code};
use dispatch_placement::{Ending, Tried};
use tokio::time::Instant;
use uuid::Uuid;

use super::attempt::{Attempted, Needs, Then, attempt, finish, now_us};
use super::callable::{Callable, Version, system_error};
use super::invoker::Invoker;
use super::loader::no_function;
use super::meter::Admitted;
use super::places::recorded;
use super::placing::now_ns;
use super::request::RunRequest;
use super::secrets::all_now;
use crate::app;
use crate::secrets::Opened;

impl Invoker {
    /// The function as it is called now.
    pub(super) async fn callable(&self, org: &OrgName, name: &Name) -> app::Result<Arc<Callable>> {
        match self.callables.get(org.as_str(), name.as_str()) {
            Some(callable) => Ok(callable),
            None => {
                let load = self.loader.callable(org, name);
                self.callables.get_or_load(org, name, load).await
            }
        }
    }

    /// Lets a run of a function begin.
    ///
    /// # Errors
    /// [`app::Error::Quota`] when the organization may have no more now.
    pub(super) fn admit(&self, callable: &Callable) -> app::Result<Admitted> {
        match callable.meter.admit() {
            Ok(admitted) => admitted.ok_or_else(|| no_function(&callable.name)),
            Err(error) => {
                if let app::Error::Quota(exceeded) = &error {
                    self.metrics.refused(exceeded.limit);
                }
                Err(error)
            }
        }
    }

    /// A run as it is accepted, with the version it is for.
    pub(super) async fn begin_run(
        &self,
        callable: &Callable,
        request: RunRequest,
        blocking: bool,
    ) -> app::Result<(Arc<Version>, Run)> {
        let number = callable.number(request.qualifier.as_ref(), rand::random())?;
        let version = self.loader.version(callable, number).await?;
        let run = new_run(callable, &version, request, blocking);
        Ok((version, run))
    }

    /// The version of a function a run is for now.
    pub(super) async fn version(
        &self,
        callable: &Callable,
        run: &Run,
    ) -> app::Result<Arc<Version>> {
        let qualifier = run.qualifier.as_deref().map(Qualifier::parse).transpose()?;
        let number = callable.number(qualifier.as_ref(), rand::random())?;
        self.loader.version(callable, number).await
    }

    /// One attempt of a run: elsewhere when an engine failed and the call may be made again, and
    /// once more where the engine had lost the deployment. However many engines that takes, it is
    /// one of the attempts the run has, and has one time limit.
    pub(super) async fn perform(
        &self,
        version: &Arc<Version>,
        run: &mut Run,
        request_id: &str,
    ) -> Attempted {
        let more = match self.more_secrets(version, run).await {
            Ok(more) => more,
            Err(error) => return refuse(run, error),
        };
        let deadline = Instant::now() + version.timeout;
        let needs = Needs {
            request_id,
            secrets: &more,
            max_output: self.settings.max_payload_bytes,
            deadline: deadline.into_std(),
        };
        let (mut version, mut tried) = (version.clone(), Tried::default());
        let (mut last, mut ensured) = (None, false);
        run.attempts += 1;
        let attempted = loop {
            let own = match version.own_secrets().await {
                Ok(own) => own,
                Err(error) => break refused(run, error),
            };
            let picked = match version.places.pick(&tried, deadline).await {
                Ok(picked) => picked,
                // What was tried says more than that nothing is left to try.
                Err(why) => break last.unwrap_or_else(|| no_engine(run, why)),
            };
            let Some(place) = version.places.of(&picked) else { continue };
            place.metrics.placed(picked.reason.word());
            run.placement =
                recorded(picked.reason, version.trial.filter(|_| run.qualifier.is_none()));
            let attempted = attempt(&version, &own, place, run, &needs).await;
            drop(own);
            picked.ticket.settle(now_ns(), attempted.ending);
            version.places.left();
            place.metrics.attempted(run, &attempted);
            match attempted.then {
                Then::EnsureAgain if !ensured => {
                    ensured = true;
                    self.loader.placed.lost(&place.engine, version.faas_id);
                    last = Some(Attempted { then: Then::RetryEngine, ..attempted });
                    match tokio::time::timeout_at(deadline, self.anew(&version, run)).await {
                        Ok(Some(found)) => version = found,
                        _ => break Attempted { then: Then::RetryEngine, ..attempted },
                    }
                }
                Then::EnsureAgain | Then::RetryEngine
                    if may_repeat(&version, run, &attempted) && Instant::now() < deadline =>
                {
                    let said = run.error.as_ref().map_or("", |error| error.message.as_str());
                    tried.add(&place.state, said);
                    last = Some(Attempted { then: Then::RetryEngine, ..attempted });
                }
                _ => break attempted,
            }
        };
        version.meter.ended(run, version.memory_mib);
        log(run, request_id);
        attempted
    }

    /// The version as it is deployed now, after an engine did not have it.
    async fn anew(&self, version: &Version, run: &Run) -> Option<Arc<Version>> {
        self.callables.forget(run.org.as_str(), run.function_name.as_str());
        let callable = self.callable(&run.org, &run.function_name).await.ok()?;
        match callable.versions.contains_key(&version.number) {
            true => self.loader.version(&callable, version.number).await.ok(),
            // It was replaced meanwhile.
            false => self.version(&callable, run).await.ok(),
        }
    }

    /// The opened secrets a run names beside its function's own, when those can be had.
    async fn more_secrets(
        &self,
        version: &Version,
        run: &Run,
    ) -> Result<Vec<Arc<Opened>>, InvocationError> {
        // What has to be read is read before the run's time begins.
        version.own_secrets().await?;
        let own = |name: &&String| !version.uses_secret(name);
        let names: Vec<String> = run.secrets.iter().filter(own).cloned().collect();
        all_now(&self.loader.open_all(&run.org, &names).await?).await
    }
}

/// Whether a call that failed on one engine may be made on another.
fn may_repeat(version: &Version, run: &Run, attempted: &Attempted) -> bool {
    attempted.reached == Reached::No || version.idempotent || !run.blocking
}

/// Says how an attempt ended, so that it is found by the id of the request behind it.
fn log(run: &Run, request_id: &str) {
    let (id, org, function, attempt) = (run.id, &run.org, &run.function_name, run.attempts);
    match &run.error {
        Some(error) if error.kind == InvocationErrorType::SystemError => {
            let error = &error.message;
            tracing::warn!(request_id, run = %id, %org, %function, attempt, error, "a run failed");
        }
        error => {
            let outcome = error.as_ref().map_or("ok", |error| error.kind.as_str());
            tracing::debug!(
                request_id, run = %id, %org, %function, attempt, outcome, "a run ended"
            );
        }
    }
}

/// Ends a run for which the function was not called.
pub(super) fn refuse(run: &mut Run, error: InvocationError) -> Attempted {
    run.attempts += 1;
    refused(run, error)
}

fn refused(run: &mut Run, error: InvocationError) -> Attempted {
    run.executed_us = Some(now_us());
    let then = Then::of_failure(&error);
    finish(run, Err(error));
    let (phases, ending) = (Phases::default(), Ending::Abandoned);
    Attempted { phases, then, reached: Reached::No, ending }
}

/// Ends a run that no engine takes.
fn no_engine(run: &mut Run, why: String) -> Attempted {
    refused(run, system_error(format!("{}: {why}", code::ENGINE009)))
}

/// A run as it is accepted. Its secrets are the function's, then the request's own, as in v1.
fn new_run(callable: &Callable, version: &Version, request: RunRequest, blocking: bool) -> Run {
    Run {
        id: Uuid::now_v7(),
        org: request.org,
        function_name: callable.name.clone(),
        function_id: callable.function_id,
        faas_id: None,
        engine: None,
        qualifier: request.qualifier.map(|qualifier| qualifier.to_string()),
        version: None,
        placement: None,
        blocking,
        state: State::Initialized,
        reason: Vec::new(),
        input: request.input,
        output: None,
        error: None,
        logs: Logs::default(),
        secrets_used: SecretUses::default(),
        secrets: appended(&version.secret_names, request.secrets),
        services: appended(&version.services, request.services),
        event: request.event,
        http_context: request.http_context,
        tags: request.tags,
        attempts: 0,
        accepted_us: now_us(),
        executed_us: None,
        finished_us: None,
    }
}

fn appended(own: &[String], more: Vec<String>) -> Vec<String> {
    if own.is_empty() && more.len() < 2 {
        return more;
    }
    let mut names = own.to_vec();
    for name in more {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

//! From a function's name to an attempt: what blocking and queued runs have in common.

use std::sync::Arc;

use dispatch_driver::{Phases, Reached};
use dispatch_model::function_version::Qualifier;
use dispatch_model::{InvocationError, InvocationErrorType, Logs, Name, OrgName, Run, State};
use uuid::Uuid;

use super::attempt::{Attempted, Needs, Then, attempt, finish, now_us};
use super::callable::{Callable, Version};
use super::invoker::Invoker;
use super::request::RunRequest;
use super::secrets::Values;
use crate::app;

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

    /// One attempt, made again once when the engine had lost the deployment.
    pub(super) async fn perform(
        &self,
        version: &Version,
        run: &mut Run,
        request_id: &str,
    ) -> Attempted {
        let more = match self.more_secrets(version, run).await {
            Ok(more) => more,
            Err(error) => return refuse(run, error),
        };
        let needs =
            Needs { request_id, secrets: &more, max_output: self.settings.max_payload_bytes };
        let place = &version.places[0];
        let mut attempted = attempt(version, place, run, &needs).await;
        if attempted.then == Then::EnsureAgain {
            self.callables.forget(run.org.as_str(), run.function_name.as_str());
            attempted.then = Then::RetryEngine;
            if let Ok(callable) = self.callable(&run.org, &run.function_name).await
                && let Ok(version) = self.loader.version(&callable, version.number).await
            {
                run.attempts -= 1;
                attempted = attempt(&version, &version.places[0], run, &needs).await;
            }
        }
        place.metrics.attempted(run, &attempted);
        log(run, request_id);
        attempted
    }

    /// The opened secrets a run names beside its function's own.
    async fn more_secrets(
        &self,
        version: &Version,
        run: &Run,
    ) -> Result<Vec<Arc<Values>>, InvocationError> {
        let own = |name: &&String| !version.uses_secret(name);
        let names: Vec<String> = run.secrets.iter().filter(own).cloned().collect();
        self.loader.open_all(&run.org, &names).await
    }
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
    run.executed_us = Some(now_us());
    let then = Then::of_failure(&error);
    finish(run, Err(error));
    Attempted { phases: Phases::default(), then, reached: Reached::No }
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

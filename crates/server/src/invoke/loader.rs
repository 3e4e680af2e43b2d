//! Reads functions and secrets from the store and prepares them for calls.

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::function::{DEFAULT_BACKOFF_MS, DEFAULT_CONCURRENCY, Function, FunctionSpec};
use dispatch_model::secret::Secret;
use dispatch_model::{
    InvocationError, InvocationErrorType, Name, OrgName, Resource, ResourceKind, State, code,
};
use dispatch_store::Store;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::cache::Cache;
use super::callable::{Callable, input_error, system_error};
use super::deployment::{Platform, deployment};
use super::engines::Engines;
use super::metrics::RunMetrics;
use super::permits::Permits;
use super::placed::Placed;
use super::schema::Schema;
use super::secrets::{OpenSealed, OwnSecrets, Values};
use crate::app::{self, Error};

/// How long to wait for news of a function before looking at it again all the same.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Makes callables.
pub struct Loader {
    pub store: Store,
    pub seal: Arc<dyn OpenSealed>,
    pub metrics: Arc<RunMetrics>,
    pub engines: Engines,
    pub secrets: Cache<Values>,
    pub permits: Permits,
    pub placed: Placed,
    /// Told whenever a function changed.
    pub changed: Notify,
    /// Longest wait for a function that is being made.
    pub ready_wait: Duration,
}

/// Whether a stored function can be called.
enum Readiness<'a> {
    /// By this deployment, which was made from this spec.
    Serves(Uuid, &'a FunctionSpec),
    /// It is being made.
    Soon,
    Never,
}

impl Loader {
    /// Loads a function, waiting a bounded time for one that is being made.
    pub async fn callable(&self, org: &OrgName, name: &Name) -> app::Result<Arc<Callable>> {
        let deadline = Instant::now() + self.ready_wait;
        loop {
            let changed = self.changed.notified();
            let function = self.function(org, name).await?;
            match readiness(&function) {
                Readiness::Serves(faas_id, spec) => {
                    return self.prepare(&function, faas_id, spec).await.map(Arc::new);
                }
                Readiness::Soon if Instant::now() < deadline => {
                    let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
                    let _ = tokio::time::timeout_at(look_again, changed).await;
                }
                Readiness::Soon | Readiness::Never => return Err(not_ready(&function)),
            }
        }
    }

    async fn function(&self, org: &OrgName, name: &Name) -> app::Result<Resource<Function>> {
        let found = self.store.by_name::<Function>(org, name).await?;
        let gone =
            |f: &Resource<Function>| matches!(f.meta.state, State::Deleting | State::Deleted);
        found
            .filter(|f| !gone(f))
            .ok_or_else(|| Error::NotFound { kind: ResourceKind::Function, name: name.to_string() })
    }

    async fn prepare(
        &self,
        function: &Resource<Function>,
        faas_id: Uuid,
        spec: &FunctionSpec,
    ) -> app::Result<Callable> {
        let org = &function.meta.org;
        let platform = Platform::from(&function.status);
        let deployment = deployment(faas_id, function, spec, platform);
        let wanted = function.status.engine.as_deref().or(spec.engine.as_deref());
        let engine = match wanted.and_then(|name| self.engines.get(name)) {
            Some(engine) => engine,
            None => {
                let language = &deployment.language;
                self.engines.for_organization(org, language, wanted).map_err(unavailable)?
            }
        };
        engine.ensure(&deployment).await.map_err(unavailable)?;
        let key = (org, &function.meta.name, function.meta.id);
        self.placed.put(key, &engine, faas_id);
        let compile = |field: &str, schema: &Option<serde_json::Value>| {
            schema.as_ref().map(|s| Schema::compile(field, s)).transpose()
        };
        let secrets = self.open_all(org, &spec.secrets).await.map(OwnSecrets::new);
        if let Err(InvocationError { kind: InvocationErrorType::SystemError, message, .. }) =
            secrets
        {
            let code = code::leading(&message).unwrap_or(code::API010);
            return Err(Error::unavailable(code, message));
        }
        let concurrency = spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
        Ok(Callable {
            function_id: function.meta.id,
            name: function.meta.name.clone(),
            image: spec.image.clone(),
            faas_id,
            engine: engine.clone(),
            schema_in: compile("schema.in", &spec.schema_in)?,
            schema_out: compile("schema.out", &spec.schema_out)?,
            timeout: deployment.timeout,
            retries: spec.retries,
            backoff: Duration::from_millis(spec.backoff_ms.unwrap_or(DEFAULT_BACKOFF_MS)),
            secret_names: spec.secrets.clone(),
            secrets,
            metrics: self.metrics.engine(engine.name()),
            services: spec.services.clone(),
            queued: self.permits.of(faas_id, concurrency),
        })
    }

    /// Opens secrets by name.
    ///
    /// # Errors
    /// An InputError (as in v1) that names the first one that is not there.
    pub async fn open_all(
        &self,
        org: &OrgName,
        names: &[String],
    ) -> Result<Vec<Arc<Values>>, InvocationError> {
        let mut opened = Vec::with_capacity(names.len());
        for name in names {
            let Ok(name) = Name::new(name) else {
                return Err(no_secret(name));
            };
            opened.push(match self.secrets.get(org.as_str(), name.as_str()) {
                Some(values) => values,
                None => self.secrets.get_or_load(org, &name, self.open(org, &name)).await?,
            });
        }
        Ok(opened)
    }

    async fn open(&self, org: &OrgName, name: &Name) -> Result<Arc<Values>, InvocationError> {
        let stored = self.store.by_name::<Secret>(org, name).await;
        let secret = stored
            .map_err(|error| {
                tracing::error!(%org, secret = %name, %error, "cannot read a secret");
                system_error(format!("{}: secret {name} could not be read", code::API010))
            })?
            .ok_or_else(|| no_secret(name.as_str()))?;
        self.seal.open_sealed(org, name, &secret.spec.sealed).map(Arc::new).map_err(|error| {
            tracing::error!(%org, secret = %name, %error, "cannot open a secret");
            system_error(format!("{}: secret {name} cannot be opened", code::SECRET002))
        })
    }
}

/// While an update is being made, or after it failed, what served before goes on serving.
fn readiness(function: &Resource<Function>) -> Readiness<'_> {
    let (state, status) = (function.meta.state, &function.status);
    match (state, status.faas_id, &status.serving) {
        (State::Ready, Some(faas_id), _) => Readiness::Serves(faas_id, &function.spec),
        (_, Some(faas_id), Some(spec)) => Readiness::Serves(faas_id, spec),
        (State::Ready, None, _) => Readiness::Soon,
        _ if state.is_pending() => Readiness::Soon,
        _ => Readiness::Never,
    }
}

fn not_ready(function: &Resource<Function>) -> Error {
    let state = function.meta.state;
    let reason = match function.meta.reason.first() {
        Some(reason) => format!("it is {state}: {reason}"),
        None => format!("it is {state}"),
    };
    Error::NotReady { name: function.meta.name.clone(), reason }
}

fn no_secret(name: &str) -> InvocationError {
    input_error(format!("{}: secret {name} does not exist", code::SECRET001))
}

fn unavailable(error: dispatch_driver::Error) -> Error {
    Error::unavailable(error.code, error.to_string())
}

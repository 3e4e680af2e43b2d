//! Reads functions and secrets from the store and prepares them for calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch_model::function::{
    DEFAULT_BACKOFF_MS, DEFAULT_CONCURRENCY, DEFAULT_MEMORY_MIB, Function, Serving,
};
use dispatch_model::function_version::{FunctionVersion, version_name};
use dispatch_model::secret::Secret;
use dispatch_model::{
    InvocationError, InvocationErrorType, Name, OrgName, Resource, ResourceKind, State, code,
};
use dispatch_store::Store;
use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;

use super::cache::Cache;
use super::callable::{Callable, Slot, Version, input_error, system_error};
use super::deployment::deployment;
use super::engines::Engines;
use super::ensuring;
use super::metrics::RunMetrics;
use super::permits::Permits;
use super::placed::Placed;
use super::places::{Place, Places};
use super::placing::effective;
use super::schema::Schema;
use super::secrets::{Held, OwnSecrets};
use super::usage::Usage;
use crate::app::{self, Error};
use crate::secrets::{Cached, Secrets};

/// How long to wait for news of a function before looking at it again all the same.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Makes callables.
pub struct Loader {
    pub store: Store,
    pub opener: Arc<Secrets>,
    pub metrics: Arc<RunMetrics>,
    pub engines: Engines,
    pub secrets: Cache<Held>,
    pub permits: Permits,
    pub placed: Arc<Placed>,
    pub usage: Usage,
    /// Told whenever a function changed.
    pub changed: Notify,
    /// Longest wait for a function that is being made.
    pub ready_wait: Duration,
}

/// Whether a stored function can be called.
enum Readiness {
    /// By these versions, whatever becomes of an update.
    Serves(Serving),
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
                Readiness::Serves(serving) => {
                    return self.load(&function, serving).await.map(Arc::new);
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
        found.filter(|f| !gone(f)).ok_or_else(|| no_function(name))
    }

    /// The function with all versions that are deployed, of which the one that takes calls is
    /// prepared.
    async fn load(&self, function: &Resource<Function>, serving: Serving) -> app::Result<Callable> {
        let meta = &function.meta;
        // Before the organization is read: if it is closed after that, this meter is.
        let meter = self.usage.meter(&meta.org, &meta.name);
        if !self.usage.prepare(&self.store, &meter.tenant).await? {
            return Err(no_function(&meta.name));
        }
        let mut callable = Callable {
            meter,
            org: meta.org.clone(),
            function_id: meta.id,
            name: meta.name.clone(),
            image: function.spec.image.clone(),
            tags: meta.tags.clone(),
            serving,
            placement: Arc::new(effective(&self.store, function).await?),
            versions: BTreeMap::new(),
        };
        for deployed in &function.status.deployments {
            let name = version_name(&meta.name, deployed.version);
            let found = self.store.by_name::<FunctionVersion>(&meta.org, &name).await?;
            // One that is not stored yet is being made.
            let Some(version) = found.filter(|v| v.spec.faas_id == deployed.faas_id) else {
                continue;
            };
            let engines = deployed.engines.clone();
            let slot = Slot { spec: version.spec, engines, prepared: OnceCell::new() };
            callable.versions.insert(deployed.version, slot);
        }
        self.version(&callable, callable.serving.version).await?;
        let held = callable.versions.values().flat_map(|slot| {
            let engines = slot.engines.iter().filter_map(|name| self.engines.get(name));
            engines.map(|engine| (engine, slot.spec.faas_id))
        });
        self.placed.put(function, held.collect());
        Ok(callable)
    }

    /// A deployed version, prepared by the first who calls it.
    pub async fn version(&self, callable: &Callable, number: u64) -> app::Result<Arc<Version>> {
        let slot = callable.versions.get(&number).ok_or_else(|| {
            let reason = format!("version {number} is not deployed");
            Error::NotReady { name: callable.name.clone(), reason }
        })?;
        if let Some(version) = slot.prepared.get() {
            return Ok(version.clone());
        }
        let prepare = async || self.prepare(callable, slot).await.map(Arc::new);
        slot.prepared.get_or_try_init(prepare).await.cloned()
    }

    async fn prepare(&self, callable: &Callable, slot: &Slot) -> app::Result<Version> {
        let (org, spec) = (&callable.org, &slot.spec.spec);
        let places = self.places(callable, slot).await?;
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
        let faas_id = slot.spec.faas_id;
        // Each engine works on so many at the same time.
        let most = spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY) as usize * places.all().len();
        Ok(Version {
            number: slot.spec.number,
            faas_id,
            places,
            schema_in: compile("schema.in", &spec.schema_in)?,
            schema_out: compile("schema.out", &spec.schema_out)?,
            timeout: Duration::from_millis(spec.timeout_ms_or_default()),
            retries: spec.retries,
            backoff: Duration::from_millis(spec.backoff_ms.unwrap_or(DEFAULT_BACKOFF_MS)),
            trial: callable.trial(slot.spec.number),
            idempotent: spec.idempotent,
            memory_mib: spec.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB),
            meter: callable.meter.clone(),
            secret_names: spec.secrets.clone(),
            secrets,
            services: spec.services.clone(),
            queued: self.permits.of(faas_id, most),
        })
    }

    /// The engines that are to have a version. Calls go to those that have been told of it, which
    /// one has been when this returns; the others follow when they can be told.
    async fn places(&self, callable: &Callable, slot: &Slot) -> app::Result<Places> {
        let (org, version) = (&callable.org, &slot.spec);
        let queue = Arc::default();
        let members = slot.engines.iter().filter_map(|name| self.engines.member(name));
        let places = members.map(|member| {
            let metrics = self.metrics.engine(member.name());
            let place = Place::new(&member, metrics, version, &queue);
            if self.placed.is_ensured(&place.engine, version.faas_id) {
                place.room.open();
            }
            Arc::new(place)
        });
        let places: Vec<Arc<Place>> = places.collect();
        if places.is_empty() {
            let text = format!("no engine has version {} now", version.number);
            return Err(Error::unavailable(code::ENGINE009, text));
        }
        let (engines, placement) = (self.engines.clone(), callable.placement.clone());
        let places = Places::new(engines, org.clone(), version.clone(), placement, places, queue);
        let told = ensuring::ensure(&places, deployment(org, version), &self.placed).await;
        told.map_err(unavailable)?;
        Ok(places)
    }

    /// Secrets by name: those that are kept here opened, the others to be read.
    ///
    /// # Errors
    /// An InputError (as in v1) that names the first one that is not there.
    pub async fn open_all(
        &self,
        org: &OrgName,
        names: &[String],
    ) -> Result<Vec<Arc<Held>>, InvocationError> {
        let mut opened = Vec::with_capacity(names.len());
        for name in names {
            let Ok(name) = Name::new(name) else {
                return Err(no_secret(name));
            };
            opened.push(match self.secrets.get(org.as_str(), name.as_str()) {
                Some(held) => held,
                None => self.secrets.get_or_load(org, &name, self.open(org, &name)).await?,
            });
        }
        Ok(opened)
    }

    async fn open(&self, org: &OrgName, name: &Name) -> Result<Arc<Held>, InvocationError> {
        let stored = self.store.by_name::<Secret>(org, name).await;
        let secret = stored
            .map_err(|error| {
                tracing::error!(%org, secret = %name, %error, "cannot read a secret");
                system_error(format!("{}: secret {name} could not be read", code::API010))
            })?
            .ok_or_else(|| no_secret(name.as_str()))?;
        let held = match Cached::new(&self.opener, org, name, &secret.spec) {
            Some(cached) => Held::Cached(Arc::new(cached)),
            None => {
                let opened = self.opener.values(&secret).await;
                Held::Opened(Arc::new(opened.map_err(|error| system_error(error.to_string()))?))
            }
        };
        Ok(Arc::new(held))
    }
}

fn readiness(function: &Resource<Function>) -> Readiness {
    match (function.meta.state, &function.status.serving) {
        (_, Some(serving)) => Readiness::Serves(serving.clone()),
        (State::Ready, None) => Readiness::Soon,
        (state, None) if state.is_pending() => Readiness::Soon,
        _ => Readiness::Never,
    }
}

/// What is said of a function that is not there, or whose organization is not.
pub fn no_function(name: &Name) -> Error {
    Error::NotFound { kind: ResourceKind::Function, name: name.to_string() }
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

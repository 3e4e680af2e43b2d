//! A function as the invoker keeps it in memory: its versions, each prepared once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch_model::function::Serving;
use dispatch_model::function_version::{FunctionReference, FunctionVersionSpec, Qualifier};
use dispatch_model::placement::{Canary, PlacementSpec};
use dispatch_model::{InvocationError, InvocationErrorType, Name, OrgName, ResourceKind, Tags};
use dispatch_placement::canary;
use tokio::sync::{OnceCell, Semaphore};
use uuid::Uuid;

use super::meter::Meter;
use super::places::Places;
use super::schema::Schema;
use super::secrets::{Own, OwnSecrets};
use crate::app::Error;

/// A function that can be called.
pub struct Callable {
    pub org: OrgName,
    pub function_id: Uuid,
    pub name: Name,
    pub image: String,
    pub tags: Tags,
    pub meter: Arc<Meter>,
    pub serving: Serving,
    /// What holds for its placement.
    pub placement: Arc<PlacementSpec>,
    /// Every version that is deployed, by number; prepared when it is first called.
    pub versions: BTreeMap<u64, Slot>,
}

/// One deployed version.
pub struct Slot {
    pub spec: FunctionVersionSpec,
    /// Engines that have it.
    pub engines: Vec<String>,
    pub prepared: OnceCell<Arc<Version>>,
}

/// A version of a function: all that a call needs.
pub struct Version {
    pub number: u64,
    pub faas_id: Uuid,
    /// Engines that have it; never empty.
    pub places: Places,
    pub schema_in: Option<Schema>,
    pub schema_out: Option<Schema>,
    pub timeout: Duration,
    pub retries: u32,
    pub backoff: Duration,
    /// The trial it is on, when it is the canary.
    pub trial: Option<Canary>,
    /// Whether a call that may have begun can be made again.
    pub idempotent: bool,
    /// What a run may use, and where that is counted.
    pub memory_mib: u64,
    pub meter: Arc<Meter>,
    pub secret_names: Vec<String>,
    /// Or why they could not be had: then no run of the function is begun.
    pub secrets: Result<OwnSecrets, InvocationError>,
    pub services: Vec<String>,
    /// One permit for each queued run that may be in the engines at the same time, so that queued
    /// runs spend none of their time limit waiting for a worker.
    pub queued: Arc<Semaphore>,
}

impl Callable {
    /// The number of the version a call is for. `random` decides who tries the canary.
    ///
    /// # Errors
    /// When a version or alias is named that is not deployed.
    pub fn number(&self, qualifier: Option<&Qualifier>, random: u64) -> Result<u64, Error> {
        let serving = &self.serving;
        let number = match qualifier {
            None => Some(match &serving.canary {
                Some(trial) if canary(random, trial) => trial.version,
                _ => serving.version,
            }),
            Some(Qualifier::Version(number)) => Some(*number),
            Some(Qualifier::Alias(alias)) => serving.aliases.get(alias.as_str()).copied(),
        };
        let deployed = number.filter(|number| self.versions.contains_key(number));
        deployed.ok_or_else(|| {
            let function = self.name.clone();
            let name = FunctionReference { function, qualifier: qualifier.cloned() }.to_string();
            Error::NotFound { kind: ResourceKind::FunctionVersion, name }
        })
    }

    /// The trial a call is part of that names no version and was given this one.
    pub fn trial(&self, number: u64) -> Option<Canary> {
        self.serving.canary.filter(|canary| canary.version == number)
    }

    /// Whether one of its versions is on an engine.
    pub fn is_on(&self, engine: &str) -> bool {
        self.versions.values().any(|slot| slot.engines.iter().any(|name| name == engine))
    }

    pub fn uses_secret(&self, name: &str) -> bool {
        self.versions.values().any(|slot| slot.spec.spec.secrets.iter().any(|n| n == name))
    }
}

impl Version {
    /// Its own secrets as they are now.
    ///
    /// # Errors
    /// Why a run of it cannot begin.
    pub async fn own_secrets(&self) -> Result<Own<'_>, InvocationError> {
        self.secrets.as_ref().map_err(Clone::clone)?.now().await
    }

    pub fn uses_secret(&self, name: &str) -> bool {
        self.secret_names.iter().any(|n| n == name)
    }
}

pub fn input_error(message: impl Into<String>) -> InvocationError {
    failure(InvocationErrorType::InputError, message)
}

pub fn function_error(message: impl Into<String>) -> InvocationError {
    failure(InvocationErrorType::FunctionError, message)
}

pub fn system_error(message: impl Into<String>) -> InvocationError {
    failure(InvocationErrorType::SystemError, message)
}

fn failure(kind: InvocationErrorType, message: impl Into<String>) -> InvocationError {
    InvocationError { kind, message: message.into(), stacktrace: Vec::new() }
}

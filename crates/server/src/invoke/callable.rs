//! A function as the invoker keeps it in memory: all that a call needs, prepared once.

use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::Engine;
use dispatch_model::{InvocationError, InvocationErrorType, Name};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::metrics::EngineMetrics;
use super::schema::Schema;
use super::secrets::OwnSecrets;

/// One function with the deployment that serves it.
pub struct Callable {
    pub function_id: Uuid,
    pub name: Name,
    pub image: String,
    pub faas_id: Uuid,
    pub engine: Arc<dyn Engine>,
    pub schema_in: Option<Schema>,
    pub schema_out: Option<Schema>,
    pub timeout: Duration,
    pub retries: u32,
    pub backoff: Duration,
    pub secret_names: Vec<String>,
    /// Or why they could not be had: then no run of the function is begun.
    pub secrets: Result<OwnSecrets, InvocationError>,
    pub services: Vec<String>,
    pub metrics: EngineMetrics,
    /// One permit for each queued run that may be in the engine at the same time, so that queued
    /// runs spend none of their time limit waiting for a worker.
    pub queued: Arc<Semaphore>,
}

impl Callable {
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

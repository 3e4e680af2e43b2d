//! What the suite asks of whoever has an engine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Program;
use crate::{Deployment, Engine, Error};

/// What becomes of a step of the suite.
pub type Tried<T> = Result<T, Stop>;

/// Why a case went no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The engine does not keep its contract.
    Failed(String),
    /// The bed cannot do what the case needs.
    NotRun(String),
}

impl Stop {
    pub fn failed(why: impl Into<String>) -> Self {
        Stop::Failed(why.into())
    }

    pub fn not_run(why: impl Into<String>) -> Self {
        Stop::NotRun(why.into())
    }
}

/// What stands between the suite and one engine.
#[async_trait]
pub trait Bed: Send + Sync {
    /// The engine that is tried: another one after [`Bed::restart`].
    fn engine(&self) -> Arc<dyn Engine>;

    /// A deployment with a new id of which nothing is made yet, and whose source or image is where
    /// the engine finds it. The suite changes its environment and limits before it is built.
    async fn deployment(&self, program: Program) -> Tried<Deployment>;

    /// Puts a new driver over the same system in the place of the engine, as a server has it that
    /// was started again: one that has forgotten all deployments.
    async fn restart(&self) -> Tried<()> {
        Err(Stop::not_run("this bed has no way to start the driver again"))
    }

    /// Takes away the system that calls go through, so that connections to it are refused; or
    /// brings it back where it was.
    async fn outage(&self, _gone: bool) -> Tried<()> {
        Err(Stop::not_run("this bed has no way to take the system away"))
    }

    /// Why the case of this name makes no sense here; it then counts as not run.
    fn cannot(&self, _case: &str) -> Option<String> {
        None
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// What the suite may expect of a system.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest payload and largest result, in bytes.
    pub payload_bytes: usize,
    /// Calls at the same time.
    pub calls: usize,
    /// Longest time until something the system does by itself has come true.
    pub patience: Duration,
    /// Longest time of one case.
    pub case: Duration,
    /// Time of the function whose time is to be over; long enough for its first start.
    pub timeout: Duration,
    /// How long the system is away in an outage.
    pub outage: Duration,
    /// What the interpreter or compiler says of [`Program::Broken`].
    pub broken: &'static str,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: 6 << 20,
            calls: 32,
            patience: Duration::from_secs(60),
            case: Duration::from_secs(180),
            timeout: Duration::from_secs(1),
            outage: Duration::from_secs(2),
            broken: "SyntaxError",
        }
    }
}

/// An error of an engine, with all that callers go by.
pub(super) fn words(error: &Error) -> String {
    let Error { code, fault, retry, reached, scope, message } = error;
    let flags = format!("fault {fault:?}, retry {retry:?}, reached {reached:?}, scope {scope:?}");
    format!("{code} ({flags}): {message}")
}

//! The one error of use cases: few kinds, a documented code, one text for the caller and one for
//! the log.

use std::time::Duration;

use dispatch_model::quota::{Exceeded, Limit};
use dispatch_model::{Name, ResourceKind, Violation, code};

use super::quota;

pub type Result<T> = std::result::Result<T, Error>;

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(Violation),
    /// No or bad credentials.
    #[error("{message}")]
    Unauthenticated { message: String },
    #[error(
        "{subject} may not {action} {} in organization {org}",
        thing(resource, name.as_deref())
    )]
    Forbidden {
        subject: String,
        action: &'static str,
        resource: &'static str,
        /// Of one thing, as policies call it.
        name: Option<String>,
        org: String,
    },
    /// A change of who may do what would give what its author does not have.
    #[error("{subject} may not do this: {lacking}")]
    Beyond { subject: String, lacking: String },
    #[error("{} {name} not found", kind.words())]
    NotFound { kind: ResourceKind, name: String },
    #[error("run {0} not found")]
    RunNotFound(String),
    #[error("engine type {name} not found; types are: {known}")]
    NoEngineType { name: String, known: String },
    #[error("function {name} is not READY: {reason}")]
    NotReady { name: Name, reason: String },
    #[error("{} {name} already exists", kind.words())]
    Exists { kind: ResourceKind, name: Name },
    /// The caller's `If-Match` (or a concurrent change) does not fit what is stored.
    #[error("{} {name} was changed meanwhile: it is at revision {current}", kind.words())]
    Stale { kind: ResourceKind, name: Name, current: i64 },
    #[error("{} {name} is used by {users}", kind.words())]
    InUse { kind: ResourceKind, name: Name, users: String },
    #[error("{what} is larger than {limit} bytes ({setting})")]
    TooLarge { what: &'static str, limit: u64, setting: &'static str },
    /// The organization may have no more, or not now.
    #[error("{}", quota::words(.0))]
    Quota(Exceeded),
    #[error("{0}")]
    Busy(String),
    /// It does not fit what is going on, or how the server is set up.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// What is asked for cannot be had now; the code says what is missing.
    #[error("{message}")]
    Unavailable { code: &'static str, message: String },
    /// A sign-in that an identity provider, or what it says of somebody, did not let happen.
    #[error("{message}")]
    Identity { code: &'static str, message: String },
    /// Too many sign-ins have failed.
    #[error("too many sign-ins have failed: try again in {} s", seconds(*wait))]
    Attempts { wait: Duration },
    /// The text goes to the log only; the caller gets the request id.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

/// `function checkout`; without a name the kind.
fn thing(resource: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{resource} {name}"),
        None => resource.to_owned(),
    }
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Error {
    /// The documented code.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Invalid(_) => code::API001,
            Error::Unauthenticated { .. } => code::IAM001,
            Error::Forbidden { .. } | Error::Beyond { .. } => code::IAM002,
            Error::NotFound { .. } | Error::RunNotFound(_) | Error::NoEngineType { .. } => {
                code::API002
            }
            Error::NotReady { .. } => code::API007,
            Error::Exists { .. } => code::API003,
            Error::Stale { .. } => code::API004,
            Error::InUse { .. } => code::API005,
            Error::TooLarge { .. } => code::API006,
            Error::Quota(exceeded) => match exceeded.limit {
                Limit::Functions | Limit::Routes | Limit::StorageBytes => code::QUOTA001,
                Limit::ConcurrentRuns | Limit::RunsPerSecond => code::QUOTA002,
                Limit::MemorySecondsPerDay => code::QUOTA003,
            },
            Error::Busy(_) => code::API008,
            Error::Conflict { code, .. }
            | Error::Unavailable { code, .. }
            | Error::Identity { code, .. } => code,
            Error::Attempts { .. } => code::IAM004,
            Error::Internal(_) => code::API009,
        }
    }

    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Error::Unavailable { code, message: message.into() }
    }

    /// Seconds after which the same may go better, when that can be said.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Error::Quota(exceeded) => Some(quota::retry_after_s(exceeded)),
            Error::Attempts { wait } => Some(seconds(*wait)),
            Error::Busy(_) | Error::Unavailable { .. } => Some(1),
            _ => None,
        }
    }

    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        Error::Internal(error.into())
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Error::Invalid(violation)
    }
}

impl From<dispatch_store::Error> for Error {
    /// Errors that depend on what was asked for (exists, missing, stale) are mapped where they
    /// happen; here they would be ours.
    fn from(error: dispatch_store::Error) -> Self {
        match error {
            dispatch_store::Error::Invalid(violation) => Error::Invalid(violation),
            dispatch_store::Error::Quota(exceeded) => Error::Quota(exceeded),
            dispatch_store::Error::Unavailable(_) | dispatch_store::Error::Full => {
                Error::unavailable(code::API010, error.to_string())
            }
            other => Error::internal(other),
        }
    }
}

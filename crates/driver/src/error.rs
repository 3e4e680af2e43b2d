//! The one error of all drivers: whose fault, and whether to try again.

use std::time::Duration;

pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong in a driver.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Documented code, such as `ENGINE003`; has a page in `docs/errors`.
    pub code: &'static str,
    pub fault: Fault,
    pub retry: Retry,
    /// Whether a call that failed may have reached its handler all the same.
    pub reached: Reached,
    pub scope: Scope,
    /// For the caller; holds no secret.
    pub message: String,
}

/// Whether a handler may have begun. A call that may have is not sent again, unless its function
/// can bear that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    No,
    Maybe,
}

/// What an error says something of. Many functions share an engine: what one of them brings about
/// must not keep calls of the others away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The engine, or the system behind it.
    Engine,
    /// One deployment: its workers, its image, what answers for it.
    Deployment,
}

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for cannot work: a handler that does not load, an unknown language.
    Caller,
    /// The system behind the driver failed or is not there.
    Backend,
    /// Dispatch itself.
    Ours,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Never,
    Now,
    After(Duration),
}

impl Error {
    pub fn caller(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Fault::Caller, Retry::Never, Reached::No, message.into())
    }

    pub fn backend(code: &'static str, retry: Retry, message: impl Into<String>) -> Self {
        Self::new(code, Fault::Backend, retry, Reached::Maybe, message.into())
    }

    pub fn ours(code: &'static str, message: impl Into<String>) -> Self {
        let retry = Retry::After(Duration::from_secs(1));
        Self::new(code, Fault::Ours, retry, Reached::Maybe, message.into())
    }

    /// The same error of a call that surely did not reach its handler.
    #[must_use]
    pub fn unreached(self) -> Self {
        Self { reached: Reached::No, ..self }
    }

    /// The same error of one deployment, which says nothing of the engine's others.
    #[must_use]
    pub fn of_deployment(self) -> Self {
        Self { scope: Scope::Deployment, ..self }
    }

    fn new(
        code: &'static str,
        fault: Fault,
        retry: Retry,
        reached: Reached,
        message: String,
    ) -> Self {
        let scope = match fault {
            Fault::Caller => Scope::Deployment,
            Fault::Backend | Fault::Ours => Scope::Engine,
        };
        Self { code, fault, retry, reached, scope, message }
    }
}

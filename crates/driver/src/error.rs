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
    /// For the caller; holds no secret.
    pub message: String,
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
        Self { code, fault: Fault::Caller, retry: Retry::Never, message: message.into() }
    }

    pub fn backend(code: &'static str, retry: Retry, message: impl Into<String>) -> Self {
        Self { code, fault: Fault::Backend, retry, message: message.into() }
    }

    pub fn ours(code: &'static str, message: impl Into<String>) -> Self {
        let retry = Retry::After(Duration::from_secs(1));
        Self { code, fault: Fault::Ours, retry, message: message.into() }
    }
}

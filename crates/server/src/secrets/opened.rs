//! A secret in memory, and why there is none.

use std::time::Duration;

use dispatch_driver::{Error, Fault};
use dispatch_model::secret::SecretUse;
use dispatch_model::{Name, code};

use crate::invoke::Values;

/// The values of a secret and which version of it they are. Values are overwritten when dropped.
pub struct Opened {
    pub used: SecretUse,
    pub values: Values,
    /// How long they are good for at most, when their store says so.
    pub lease: Option<Duration>,
}

/// Why a secret's values cannot be had. Holds none, and no address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {text}")]
pub struct OpenError {
    pub code: &'static str,
    text: String,
    /// Its store says that it is not there, or not for this server: what was read before must not
    /// be used any more.
    pub is_final: bool,
}

impl OpenError {
    pub fn sealed(name: &Name) -> Self {
        let text = format!("secret {name} cannot be opened");
        Self { code: code::SECRET002, text, is_final: true }
    }

    pub fn unread(name: &Name, store: &str, error: &Error) -> Self {
        let text = format!("secret {name} was not read from store {store}: {error}");
        Self { code: code::SECRET003, text, is_final: error.fault == Fault::Caller }
    }
}

impl From<OpenError> for crate::app::Error {
    fn from(error: OpenError) -> Self {
        crate::app::Error::unavailable(error.code, error.to_string())
    }
}

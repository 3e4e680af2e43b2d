//! Identity: where people and programs prove who they are. Dispatch keeps no password of its own.

mod flow;
mod secret_text;
mod signed_in;

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_model::code;
use serde::Serialize;

use crate::setting::{Config, Known, Setting};
use crate::{Error, Health, Result};

pub use flow::{
    Answer, DevicePending, DevicePoll, DeviceStarted, Logout, PENDING_LIFE, Pending, Refresh,
    Start, Started,
};
pub use secret_text::SecretText;
pub use signed_in::{CLAIMS_BYTES, GROUPS, SignedIn, TEXT, is_unseen, plain};

/// Makes identity providers of one type.
pub trait IdentityType: Send + Sync + 'static {
    /// As a provider's `type` spells it: `oidc`.
    fn name(&self) -> &'static str;

    /// What it is, for the operator: a sentence without its full stop.
    fn about(&self) -> &'static str;

    /// Everything that may be set; nothing else is accepted.
    fn settings(&self) -> &'static [Setting];

    /// What its settings are checked against.
    fn known(&self) -> Known {
        Known { kind: "identity providers", of: self.name(), settings: self.settings() }
    }

    /// Makes a provider. Touches no network: whether the system answers is its health.
    ///
    /// # Errors
    /// `Fault::Caller` for settings that cannot be used together, or files that cannot be read.
    fn make(&self, config: Config) -> Result<Arc<dyn IdentityProvider>>;
}

/// A system that tells who somebody is.
///
/// Expected flow of a browser: [`start`](Self::start) makes the address the browser is sent to, and
/// a [`Pending`] that its owner keeps sealed; the browser comes back with an [`Answer`];
/// [`finish`](Self::finish) takes both, once. Whoever keeps a `Pending` forgets it with that call.
///
/// What comes back is bounded: [`SignedIn`] says by how much. What a provider has no flow for is
/// an error with the code `IDENTITY008`, and [`methods`](Self::methods) tells beforehand.
///
/// An error that a person meets (`IDENTITY001`) is the same whether the account does not exist, is
/// locked, or the password is wrong. Why is in the server's log only.
#[async_trait]
pub trait IdentityProvider: Send + Sync + 'static {
    /// The configured name.
    fn name(&self) -> &str;

    fn methods(&self) -> Methods;

    /// Whether the system answers, and the settings are good for it as far as can be seen.
    async fn health(&self) -> Health;

    /// Begins a sign-in by browser: state, nonce and PKCE verifier are made here.
    async fn start(&self, _start: Start) -> Result<Started> {
        Err(self.lacks("sign-in by browser"))
    }

    /// Ends a sign-in by browser.
    ///
    /// # Errors
    /// `IDENTITY005` for an answer to another question, one that came too late or a second time;
    /// `IDENTITY006` when the provider, or a rule about its members, refuses.
    async fn finish(&self, _pending: Pending, _answer: Answer) -> Result<SignedIn> {
        Err(self.lacks("sign-in by browser"))
    }

    /// Begins a sign-in of a device without a browser (RFC 8628).
    async fn device_start(&self) -> Result<DeviceStarted> {
        Err(self.lacks("sign-in by device code"))
    }

    /// Whether the person has answered meanwhile. Asked no more often than the interval says.
    async fn device_poll(&self, _pending: &DevicePending) -> Result<DevicePoll> {
        Err(self.lacks("sign-in by device code"))
    }

    /// Signs in with a name and a password.
    ///
    /// # Errors
    /// `IDENTITY001` for whatever is wrong with the two.
    async fn bind(&self, _name: &str, _password: &SecretText) -> Result<SignedIn> {
        Err(self.lacks("sign-in by password"))
    }

    /// The same person again, as the provider knows them now.
    ///
    /// # Errors
    /// `IDENTITY005` when the provider does not know them any more, or took the sign-in back.
    async fn refresh(&self, _refresh: Refresh) -> Result<SignedIn> {
        Err(self.lacks("refreshing"))
    }

    /// Where a browser is sent to be signed out at the provider too; `None` where it has no such
    /// place.
    async fn logout_url(&self, _logout: Logout) -> Result<Option<String>> {
        Ok(None)
    }

    /// Who holds a token that a trusted issuer gave to a program: a CI job, a pod.
    ///
    /// # Errors
    /// `IDENTITY009` for a token that is not good here and now.
    async fn verify_token(&self, _token: &str, _audience: &str) -> Result<SignedIn> {
        Err(self.lacks("sign-in by token"))
    }

    /// The error of a flow that is not there.
    fn lacks(&self, flow: &str) -> Error {
        let text = format!("the identity provider {} has no {flow}", self.name());
        Error::caller(code::IDENTITY008, text)
    }
}

/// Which flows a provider has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Methods {
    pub browser: bool,
    pub device: bool,
    pub password: bool,
    pub refresh: bool,
    pub logout: bool,
    pub token: bool,
}

/// An error of settings that are each readable but do not go together.
pub fn refused(message: impl Into<String>) -> Error {
    Error::caller(code::IDENTITY003, message)
}

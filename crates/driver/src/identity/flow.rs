//! What goes in and out of the steps of a sign-in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SecretText, SignedIn};

/// How long a browser may take from [`Started`] to [`Answer`].
pub const PENDING_LIFE: Duration = Duration::from_secs(600);

/// What a sign-in by browser begins with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Where the provider sends the browser back to; registered there.
    pub redirect_url: String,
    /// Name or e-mail the provider may fill in.
    pub login_hint: Option<String>,
    /// Ask for the password again even when the browser is signed in at the provider.
    pub again: bool,
}

impl Start {
    pub fn new(redirect_url: impl Into<String>) -> Self {
        Self { redirect_url: redirect_url.into(), login_hint: None, again: false }
    }
}

/// A sign-in that was begun.
#[derive(Debug, Clone)]
pub struct Started {
    /// Where the browser is sent.
    pub url: String,
    pub pending: Pending,
}

/// What has to be known when the browser comes back. It is kept sealed, bound to that browser, and
/// used once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pending {
    /// Name of the provider it was begun with.
    pub provider: String,
    pub redirect_url: String,
    /// Random; comes back with the answer, and finds this again.
    pub state: SecretText,
    /// Random; comes back in the ID token. Empty where a provider has none.
    pub nonce: SecretText,
    /// Of PKCE (RFC 7636).
    pub verifier: SecretText,
    /// When it was begun: seconds since 1970.
    pub begun_s: u64,
}

/// The query that a browser comes back with.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Answer {
    pub code: Option<SecretText>,
    pub state: Option<String>,
    /// Who answered (RFC 9207).
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// A device's sign-in that was begun.
#[derive(Debug, Clone)]
pub struct DeviceStarted {
    /// What the person types at `verification_url`.
    pub user_code: String,
    pub verification_url: String,
    /// The same with the code in it, where the provider has it.
    pub complete_url: Option<String>,
    pub expires_in: Duration,
    /// Least time between two polls.
    pub interval: Duration,
    pub pending: DevicePending,
}

/// What a poll needs; kept sealed, as it stands for the sign-in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DevicePending {
    pub provider: String,
    pub device_code: SecretText,
    pub begun_s: u64,
    pub expires_in_s: u64,
}

/// How a device's sign-in stands.
#[derive(Debug, Clone)]
pub enum DevicePoll {
    /// The person has not answered. Poll again after the interval; `slower`: five seconds longer
    /// than before, from now on.
    Waiting {
        slower: bool,
    },
    SignedIn(Box<SignedIn>),
}

/// Who is to be looked up again.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// Of the [`SignedIn`]; what comes back has the same.
    pub subject: String,
    /// [`SignedIn::refresh`], where there was one.
    pub token: Option<SecretText>,
}

/// A browser that signs out.
#[derive(Debug, Clone, Default)]
pub struct Logout {
    /// [`SignedIn::id_token`].
    pub id_token: Option<SecretText>,
    /// Where the provider sends the browser afterwards; registered there.
    pub redirect_url: Option<String>,
    pub state: Option<String>,
}

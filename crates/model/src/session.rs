//! Sessions: sign-ins that hold until they end, are revoked, or are not confirmed any more.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{OrgName, kind};

kind!(
    /// Marks sessions. One belongs to the first organization its holder is a member of.
    Session, SessionSpec, SessionStatus
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSpec {
    pub holder: Holder,
    /// Name of the identity provider that vouched for the holder.
    pub provider: String,
    /// What the provider calls the holder; never another's.
    pub subject: String,
    pub client: SessionClient,
    /// The address it was begun from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// SHA-256 of the secret part of its token, base64.
    pub token_digest: String,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Holder {
    User {
        /// As policies name them.
        name: String,
        display_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<String>,
    },
    /// A service account of the organization the session belongs to. One that has its name later is
    /// another.
    ServiceAccount { name: String, id: Uuid },
}

/// What a session was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionClient {
    Browser,
    CommandLine,
    Program,
}

impl SessionClient {
    pub fn as_str(self) -> &'static str {
        match self {
            SessionClient::Browser => "browser",
            SessionClient::CommandLine => "command-line",
            SessionClient::Program => "program",
        }
    }
}

/// What changes while it lasts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The organizations a user is a member of, the one it belongs to first.
    pub memberships: Vec<Membership>,
    /// When the provider last vouched for the holder, in unix milliseconds.
    pub confirmed_ms: i64,
    /// When it is to be asked next; `None` where it cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_ms: Option<i64>,
    /// What the provider gave to be asked by and to sign out with; sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// A user in one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub organization: OrgName,
    /// Sorted, each once.
    pub groups: Vec<String>,
}

impl SessionSpec {
    /// The subject policies name.
    pub fn name(&self) -> &str {
        match &self.holder {
            Holder::User { name, .. } | Holder::ServiceAccount { name, .. } => name,
        }
    }

    /// What kind of caller its holder is, in a word.
    pub fn holder_kind(&self) -> &'static str {
        match &self.holder {
            Holder::User { .. } => "user",
            Holder::ServiceAccount { .. } => "service-account",
        }
    }
}

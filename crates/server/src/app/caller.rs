//! Who makes a request, and for which organization.

use std::net::IpAddr;
use std::sync::Arc;

use dispatch_model::OrgName;

/// An authenticated caller. Made only by `authn` (and by controllers for their own work).
#[derive(Debug, Clone)]
pub struct Caller {
    /// The organization the request is for.
    pub org: OrgName,
    pub principal: Principal,
    /// What its identity provider says it is in; groups that are stored are found without it.
    pub groups: Vec<String>,
    /// The address the request came from; none of the server's own.
    pub from: Option<IpAddr>,
    /// What it signed in with; absent for the user of this machine.
    pub token: Option<Token>,
    /// Runs through every log line and into the handler's context.
    pub request_id: Arc<str>,
}

/// A token that was checked, kept to check it again.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// What kind of caller it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The user of this machine, while nothing is configured and the API is on loopback.
    LocalAdmin,
    /// The bootstrap user: may work on `iam` only.
    Bootstrap { name: String },
    /// A service account of an organization.
    ServiceAccount { org: OrgName, name: String },
    /// Somebody an identity provider vouches for, as a member of an organization.
    User { org: OrgName, provider: String, name: String },
}

impl Principal {
    /// The organization whose policies may name it.
    pub fn home(&self) -> Option<&OrgName> {
        match self {
            Principal::ServiceAccount { org, .. } | Principal::User { org, .. } => Some(org),
            Principal::LocalAdmin | Principal::Bootstrap { .. } => None,
        }
    }

    /// What kind of caller it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Principal::LocalAdmin => "local-admin",
            Principal::Bootstrap { .. } => "bootstrap",
            Principal::ServiceAccount { .. } => "service-account",
            Principal::User { .. } => "user",
        }
    }

    /// The subject policies name.
    pub fn subject(&self) -> &str {
        match self {
            Principal::LocalAdmin => "local-admin",
            Principal::Bootstrap { name } => name,
            Principal::ServiceAccount { name, .. } | Principal::User { name, .. } => name,
        }
    }
}

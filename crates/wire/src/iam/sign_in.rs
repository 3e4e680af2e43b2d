//! Sign-in without a browser of its own, and what there is to sign in with. An addition to v1.
//!
//! What holds a password or a token here has no `Debug`, so that none is printed by accident.

use serde::{Deserialize, Serialize};

use super::session::Session;

/// A system that vouches for people or programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    pub name: String,
    /// oidc, github or ldap.
    #[serde(rename = "type")]
    pub provider_type: String,
    /// For people to read.
    pub title: String,
    /// People sign in with a browser.
    #[serde(default)]
    pub browser: bool,
    /// People sign in with a code, on another device.
    #[serde(default)]
    pub device: bool,
    /// People sign in with a name and a password.
    #[serde(default)]
    pub password: bool,
    /// Programs sign in with its tokens, as service accounts that trust it.
    #[serde(default)]
    pub token: bool,
}

/// One way to begin a session: what it needs is given, and nothing else.
///
/// A name and a password (`provider`, `username`, `password`); the code that a browser brought back
/// (`code`, `verifier`); a device's sign-in (`device`); a service account and a token of an issuer
/// it trusts (`serviceAccount`, `token`).
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the challenge was made of that the sign-in began with (RFC 7636).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// ORGANIZATION/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A session that began.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// Sent as `Authorization: Bearer TOKEN`. Secret; it is not shown again.
    pub token: String,
    pub session: Session,
}

/// Which provider's device flow to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceSignIn {
    pub provider: String,
}

/// A device's sign-in that was begun (RFC 8628).
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeviceCode {
    /// What asks for its end; secret.
    pub device: String,
    /// What the person types at `verificationUrl`.
    pub user_code: String,
    pub verification_url: String,
    /// The same with the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_url_complete: Option<String>,
    /// Seconds.
    pub expires_in: u64,
    /// Least time between two questions, in seconds.
    pub interval: u64,
}

/// The person has not answered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeviceWaiting {
    /// Ask again after so many seconds more than before.
    pub slower: u64,
}

/// A session that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignedOut {
    /// Where a browser is sent to be signed out at the provider too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logout_url: Option<String>,
}

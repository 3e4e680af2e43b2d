//! The way into a new installation.

use serde::{Deserialize, Serialize};

/// The key that takes the place of the one-time credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootstrapClaim {
    /// Base64 of the PEM of a public key.
    pub public_key: String,
}

/// Who signs in with that key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BootstrapUser {
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// Until when they are accepted, in unix seconds.
    pub expires: i64,
}

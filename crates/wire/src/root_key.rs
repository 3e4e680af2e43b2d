//! The keys secrets are sealed with, and the change of them. Additions to v1, without any key.

use serde::{Deserialize, Serialize};

use crate::shared::is_false;

/// The root keys of a server, and how far a rotation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RootKeys {
    /// The first one seals, the others still open.
    pub keys: Vec<RootKey>,
    /// The rotation that runs, or the last one since the server was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// One root key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RootKey {
    /// Says nothing about the key.
    pub id: String,
    /// Whether what is sealed now is sealed with it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub seals: bool,
    /// How many secrets, versions of secrets and other values are sealed with it.
    pub sealed: u64,
}

/// How far a rotation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// running, done or failed.
    pub state: String,
    /// How many things were to be sealed anew when it began.
    pub total: u64,
    /// How many are.
    pub resealed: u64,
    /// Unix seconds.
    pub started_time: i64,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_time: Option<i64>,
    /// Why it failed; it goes on when the server starts, or when it is asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

//! Service accounts: callers that sign in with a key pair.

use serde::{Deserialize, Serialize};

use crate::{NoStatus, kind};

kind!(
    /// Marks service accounts.
    ServiceAccount, ServiceAccountSpec, NoStatus
);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccountSpec {
    /// Base64 of the PEM of an RSA, EC (P-256) or Ed25519 public key.
    pub public_key: String,
    pub domain: Option<String>,
}

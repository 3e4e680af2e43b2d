//! Secrets, as they are stored: sealed. Only the server's `seal` room opens them.

use serde::{Deserialize, Serialize};

use crate::{NoStatus, kind};

kind!(
    /// Marks secrets.
    Secret, SecretSpec, NoStatus
);

/// Most keys one secret may hold.
pub const MAX_SECRET_KEYS: usize = 256;
/// Most bytes all keys and values of one secret may take together: 1 MiB.
pub const MAX_SECRET_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSpec {
    pub sealed: Sealed,
}

/// Values under a data key of their own, which is wrapped by a root key. All fields are base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which root key wrapped the data key.
    pub root_key_id: String,
    pub wrapped_key: String,
    pub wrap_nonce: String,
    pub nonce: String,
    pub ciphertext: String,
}

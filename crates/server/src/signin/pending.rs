//! What browsers and devices keep for the server while somebody signs in: sealed, so that it can be
//! neither read nor made elsewhere, and any server of the installation can go on with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dispatch_driver::identity::{DevicePending, PENDING_LIFE, Pending, SecretText};
use dispatch_model::resource::now_ms;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Where a sign-in by browser leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "aim")]
pub enum Aim {
    /// To a page of this server.
    Page { path: String },
    /// To a command that waits on this address of the browser's own machine.
    Command {
        redirect: String,
        state: String,
        /// Of PKCE (RFC 7636): who shows what it was made of gets the session.
        challenge: String,
    },
}

/// A sign-in by browser that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingBrowser {
    pub pending: Pending,
    pub aim: Aim,
}

/// A sign-in by device that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingDevice {
    pub pending: DevicePending,
}

/// A session that waits for the command it was begun for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Handed {
    pub token: SecretText,
    pub challenge: String,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

/// What a provider gave that a session is confirmed by, and ended with; kept sealed in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Proofs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<SecretText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<SecretText>,
}

/// What was taken already, for as long as it could be taken again.
#[derive(Debug, Default)]
pub struct Used(Mutex<HashMap<[u8; 32], i64>>);

impl Used {
    /// Whether something is taken for the first time.
    pub fn first(&self, text: &str) -> bool {
        let now = now_ms();
        let until = now + i64::try_from(PENDING_LIFE.as_millis()).unwrap_or(i64::MAX);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is here has shown something sealed, and each such thing is here once.
        taken.retain(|_, until| *until > now);
        taken.insert(Sha256::digest(text).into(), until).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_twice() {
        let used = Used::default();
        assert!(used.first("a") && used.first("b"));
        assert!(!used.first("a"));
    }
}

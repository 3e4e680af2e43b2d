//! What browsers and devices keep for the server while somebody signs in: sealed, so that it can be
//! neither read nor made elsewhere, and any server of the installation can go on with it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dispatch_driver::identity::{DevicePending, PENDING_LIFE, Pending, SecretText};
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
    /// Least time between two questions.
    pub interval_s: u64,
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

/// Most that is remembered of what was taken, and of devices that ask.
const MOST: usize = 100_000;

/// What was taken already, for as long as it could be taken again.
#[derive(Debug, Default)]
pub struct Used(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    digests: HashSet<[u8; 32]>,
    /// The same in the order they came, and when.
    order: VecDeque<([u8; 32], Instant)>,
}

impl Used {
    /// Whether something is taken for the first time.
    pub fn first(&self, text: &str) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |taken: &Taken| {
            let full = taken.order.len() >= MOST;
            taken.order.front().is_some_and(|(_, at)| full || at.elapsed() > PENDING_LIFE)
        };
        while old(&taken) {
            if let Some((digest, _)) = taken.order.pop_front() {
                taken.digests.remove(&digest);
            }
        }
        let digest: [u8; 32] = Sha256::digest(text).into();
        let first = taken.digests.insert(digest);
        if first {
            taken.order.push_back((digest, Instant::now()));
        }
        first
    }
}

/// When devices last asked.
#[derive(Debug, Default)]
pub struct Paced(Mutex<HashMap<[u8; 32], Instant>>);

/// Longest pause of a device between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

impl Paced {
    /// Whether a device may ask again: a little earlier than it should is let pass, as its clock is
    /// not this one.
    pub fn may(&self, device: &str, interval: Duration) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST {
            last.retain(|_, at| at.elapsed() < LONGEST_PAUSE);
        }
        let digest: [u8; 32] = Sha256::digest(device).into();
        let soon = last.get(&digest).is_some_and(|at| at.elapsed() < interval.mul_f64(0.8));
        if soon || last.len() >= MOST {
            return false;
        }
        last.insert(digest, Instant::now());
        true
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
        for n in 0..MOST + 10 {
            used.first(&n.to_string());
        }
        assert!(used.0.lock().unwrap().order.len() <= MOST);
    }

    #[test]
    fn a_device_asks_no_more_often_than_it_was_told() {
        let (paced, long) = (Paced::default(), Duration::from_secs(60));
        assert!(paced.may("a", long) && paced.may("b", long));
        assert!(!paced.may("a", long));
        assert!(paced.may("a", Duration::ZERO));
    }
}

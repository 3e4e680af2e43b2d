//! Signing in: the identity providers of this server, what their claims make of people here, how
//! many wrong tries are let through, and what is kept sealed while a sign-in is under way.
//!
//! Whatever the way, it ends in a session (`authn/sessions.rs`).

mod attempts;
mod metrics;
mod opening;
mod pending;
mod providers;
mod rule;

pub use attempts::{Attempts, Door, Entered};
pub use metrics::SignInMetrics;
pub use opening::Opening;
pub use pending::{Aim, Handed, Paced, PendingBrowser, PendingDevice, Proofs, Used};
pub use providers::{Provider, Providers, Types};

use crate::seal::SignInKey;

/// What sign-ins of this server need.
pub struct SignIns {
    pub providers: Providers,
    pub attempts: Attempts,
    /// Seals what browsers, devices and the database keep.
    pub key: SignInKey,
    /// Answers that were taken: none is taken twice.
    pub used: Used,
    /// When devices last asked.
    pub paced: Paced,
    pub metrics: SignInMetrics,
}

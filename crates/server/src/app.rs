//! Use cases. Each takes the caller first, authorises, then works on the store.
//!
//! No HTTP here, and no concrete driver.

use std::sync::Arc;

use dispatch_model::Quota;
use dispatch_store::Store;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::authn::Authn;
use crate::authz::Authorizer;
use crate::config::Limits;
use crate::content::Contents;
use crate::invoke::{EngineMaker, Engines, Invoker};
use crate::seal::Seal;
use crate::secrets::Secrets;
use crate::signin::SignIns;
use crate::telemetry::Metrics;

pub mod access;
pub mod api;
pub mod application;
pub mod audit;
pub mod base_image;
pub mod bootstrap;
pub mod caller;
pub mod can_i;
pub mod content;
pub mod engine;
pub mod engine_watch;
pub mod error;
pub mod feed;
pub mod function;
pub mod group;
pub mod image;
pub mod image_policy;
pub mod organization;
pub mod package;
pub mod placement;
pub mod policy;
pub mod prune;
pub mod quota;
pub mod resource;
pub mod rights;
pub mod role;
pub mod rollout;
pub mod root_key;
pub mod run;
mod run_access;
pub mod secret;
pub mod secret_version;
pub mod service_account;
pub mod session;
pub mod session_upkeep;
pub mod sign_in;
pub mod usage;
pub mod vulnerability;
pub mod watch;

pub use caller::{Caller, Principal};
pub use error::{Error, Result};
pub use resource::{Deletion, Precondition};

/// Everything use cases stand on. One for each server, shared.
pub struct App {
    pub store: Store,
    pub authn: Arc<Authn>,
    pub authorizer: Arc<Authorizer>,
    pub seal: Arc<Seal>,
    pub sign_ins: SignIns,
    pub audit: Arc<Audit>,
    pub secrets: Arc<Secrets>,
    pub invoker: Arc<Invoker>,
    pub engines: Engines,
    pub engine_maker: Arc<EngineMaker>,
    pub contents: Arc<Contents>,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    /// Held by whoever changes policies, roles, groups and accounts: see [`App::granting`].
    pub granting: tokio::sync::Mutex<()>,
    /// What new organizations may use at most, where they say nothing else.
    pub quotas: Quota,
    /// Told whenever policies, organizations or keys changed.
    pub access: Sender<()>,
    /// Cancelled when the server stops: whatever streams to a client ends then.
    pub stop: CancellationToken,
}

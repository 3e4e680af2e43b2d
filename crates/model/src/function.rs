//! Functions: source, handler, image, and how they are to be run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::check_reference;
use crate::placement::{Canary, PlacementSpec};
use crate::rollout::Rollout;
use crate::{Violation, kind};

kind!(
    /// Marks functions.
    Function, FunctionSpec, FunctionStatus
);

/// Longest time one call may take when a function says nothing: 5 minutes.
pub const DEFAULT_TIMEOUT_MS: u64 = 300_000;
/// The longest `timeout` a function may ask for: 1 hour.
pub const MAX_TIMEOUT_MS: u64 = 3_600_000;
pub const DEFAULT_MEMORY_MIB: u64 = 256;
pub const MAX_MEMORY_MIB: u64 = 65_536;
/// Calls of one function that may run at the same time on one server, when it says nothing.
pub const DEFAULT_CONCURRENCY: u32 = 16;
pub const MAX_CONCURRENCY: u32 = 1_000;
pub const DEFAULT_BACKOFF_MS: u64 = 1_000;
pub const MAX_BACKOFF_MS: u64 = 3_600_000;
pub const MAX_RETRIES: u32 = 20;
/// How long a warm worker with nothing to do is kept.
pub const DEFAULT_IDLE_MS: u64 = 300_000;
const MAX_ENVIRONMENT: usize = 128;
const MAX_EGRESS: usize = 64;
const MAX_SECRETS: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionSpec {
    pub image: String,
    /// Empty when the language's default applies.
    pub handler: String,
    pub source: Option<SourceRef>,
    pub source_url: Option<String>,
    pub schema_in: Option<serde_json::Value>,
    pub schema_out: Option<serde_json::Value>,
    pub secrets: Vec<String>,
    pub services: Vec<String>,
    /// 0 is [`DEFAULT_TIMEOUT_MS`].
    pub timeout_ms: u64,
    pub memory_mib: Option<u64>,
    pub concurrency: Option<u32>,
    pub environment: BTreeMap<String, String>,
    /// Further attempts of a non-blocking run after the first failed.
    pub retries: u32,
    /// Wait before the first retry; doubles with each further one.
    pub backoff_ms: Option<u64>,
    pub idle_ms: Option<u64>,
    /// Hosts the function may open connections to (`example.org`, `*.example.org`, `host:port`).
    pub egress: Vec<String>,
    /// Engine to run on; chosen by the image's language when absent.
    pub engine: Option<String>,
    /// Whether a call that may have begun can be made again elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// Which engines calls go to; no part of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementSpec>,
}

/// A stored source: its bytes are in the blob store under the digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// `sha256:<hex>` of the bytes as they were sent.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionStatus {
    /// What takes calls now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// The version that took calls before, which an undo goes back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
    /// Number of the newest version; 0 when none was made yet.
    pub latest: u64,
    /// [`crate::function_version::FunctionVersionSpec::hash`] of the newest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_hash: Option<String>,
    /// Which versions are to take calls.
    #[serde(skip_serializing_if = "is_default")]
    pub rollout: Rollout,
    /// What engines hold, or may hold: a deployment is written here before it is made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<Deployed>,
    /// Which server makes them now, where several could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<MakingLease>,
    /// What engines that outlive this server still hold and nothing needs any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Retiring>,
    /// The deployment of the version that takes calls, as v1 shows it.
    pub faas_id: Option<Uuid>,
    /// The engine its calls go to first.
    pub engine: Option<String>,
    pub function_image_url: Option<String>,
    /// Digest of the manifest of the function's own image, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Digest of the image that was built on; absent on the machine's own programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Whether the runs stay when the function is deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_runs: bool,
}

/// The versions that take calls now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Versions that can be named, by alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, u64>,
}

/// A version's deployment, and the engines that have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    pub version: u64,
    pub faas_id: Uuid,
    pub engines: Vec<String>,
    /// Those of the engines where it was begun, and not yet ended, to make it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub making: Vec<String>,
}

/// A server's word that it makes what a function needs; the others leave it alone until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakingLease {
    pub owner: Uuid,
    /// Unix microseconds.
    pub until_us: i64,
}

/// A deployment that is to go from an engine, once calls that found it just before have begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    pub engine: String,
    pub faas_id: Uuid,
    /// Unix milliseconds.
    pub since_ms: i64,
}

impl FunctionStatus {
    /// The deployment of a version, wherever it is.
    pub fn deployed(&self, version: u64) -> Option<&Deployed> {
        self.deployments.iter().find(|d| d.version == version)
    }

    /// The version an alias leads to now.
    pub fn alias(&self, alias: &str) -> Option<u64> {
        self.serving.as_ref()?.aliases.get(alias).copied()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl FunctionSpec {
    pub fn timeout_ms_or_default(&self) -> u64 {
        if self.timeout_ms == 0 { DEFAULT_TIMEOUT_MS } else { self.timeout_ms }
    }

    /// Rules that need nothing but the spec itself. Schemas are compiled elsewhere.
    pub fn check(&self) -> Result<(), Violation> {
        if self.image.trim().is_empty() {
            return Err(Violation::new("image", "is required: the name of an image"));
        }
        check_reference("image", &self.image)?;
        check_reference("engine", self.engine.as_deref().unwrap_or_default())?;
        at_most("timeout", self.timeout_ms, MAX_TIMEOUT_MS, "ms")?;
        if let Some(memory) = self.memory_mib {
            between("memoryMib", memory, 4, MAX_MEMORY_MIB, "MiB")?;
        }
        if let Some(concurrency) = self.concurrency {
            between("concurrency", u64::from(concurrency), 1, u64::from(MAX_CONCURRENCY), "calls")?;
        }
        at_most("retries", u64::from(self.retries), u64::from(MAX_RETRIES), "retries")?;
        at_most("backoffMs", self.backoff_ms.unwrap_or(0), MAX_BACKOFF_MS, "ms")?;
        at_most("environment", self.environment.len() as u64, MAX_ENVIRONMENT as u64, "entries")?;
        at_most("egress", self.egress.len() as u64, MAX_EGRESS as u64, "hosts")?;
        at_most("secrets", self.secrets.len() as u64, MAX_SECRETS as u64, "names")?;
        at_most("services", self.services.len() as u64, MAX_SECRETS as u64, "names")?;
        if let Some(placement) = &self.placement {
            placement.check()?;
        }
        for (i, name) in self.secrets.iter().enumerate() {
            check_reference(format!("secrets[{i}]"), name)?;
        }
        for key in self.environment.keys() {
            check_environment_key(key)?;
        }
        Ok(())
    }
}

fn check_environment_key(key: &str) -> Result<(), Violation> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && key.chars().all(word) && key.len() <= 128 {
        return Ok(());
    }
    Err(Violation::new("environment", format!("{key:?} must match ^[A-Za-z_][A-Za-z0-9_]*$")))
}

fn at_most(field: &str, value: u64, max: u64, unit: &str) -> Result<(), Violation> {
    if value <= max {
        return Ok(());
    }
    Err(Violation::new(field, format!("is {value}, at most {max} {unit} are allowed")))
}

fn between(field: &str, value: u64, min: u64, max: u64, unit: &str) -> Result<(), Violation> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Violation::new(field, format!("is {value}, must be {min} to {max} {unit}")))
}

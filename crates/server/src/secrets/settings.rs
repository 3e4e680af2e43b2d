//! The `[secrets]` part of the configuration.

use std::path::PathBuf;

use anyhow::bail;
use serde::Deserialize;

/// Most versions of one secret that may be kept.
const MAX_VERSIONS: u32 = 1_000;

/// How secrets are kept and read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Versions of a secret that are kept, the one that holds among them.
    pub versions: u32,
    /// A file with the stores outside of Dispatch; none when empty.
    pub stores_file: PathBuf,
    /// How long what was read is used when a secret does not say, in seconds.
    pub cache_s: u64,
    /// The longest a secret may say.
    pub max_cache_s: u64,
    /// How much longer it is used while its store does not answer, in seconds.
    pub max_stale_s: u64,
    /// How long a store that failed is left alone, in milliseconds.
    pub retry_ms: u64,
    /// Longest time a run waits for a store, in milliseconds.
    pub read_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            versions: 10,
            stores_file: PathBuf::new(),
            cache_s: 60,
            max_cache_s: 3_600,
            max_stale_s: 300,
            retry_ms: 5_000,
            read_timeout_ms: 10_000,
        }
    }
}

impl Settings {
    pub fn check(&self) -> anyhow::Result<()> {
        if !(1..=MAX_VERSIONS).contains(&self.versions) {
            bail!("secrets.versions must be 1 to {MAX_VERSIONS}");
        }
        if self.cache_s == 0 || self.cache_s > self.max_cache_s {
            bail!("secrets.cache_s must be 1 to secrets.max_cache_s");
        }
        Ok(())
    }
}

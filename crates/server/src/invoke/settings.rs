//! The `[runs]` part of the configuration.

use serde::Deserialize;

/// Limits and times of runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Largest input or output of a run, in bytes.
    pub max_payload_bytes: usize,
    /// Longest wait for a function that is being created to become READY, in milliseconds.
    pub ready_wait_ms: u64,
    /// Functions and secrets unused for this long leave the memory, in seconds.
    pub cache_idle_s: u64,
    /// Memory that accepted runs may take while they wait, in bytes. More wait in the store.
    pub queue_bytes: usize,
    /// How long a claimed run belongs to this server without being renewed, in seconds.
    pub lease_s: u64,
    /// How often the store is looked through for runs nobody has claimed, in milliseconds.
    pub poll_ms: u64,
    /// Attempts a run gets at least when an engine, not the function, failed.
    pub engine_attempts: u32,
    /// Longest wait between two attempts, in milliseconds.
    pub max_backoff_ms: u64,
    /// Finished runs older than this are deleted, in seconds. 0 keeps them.
    pub max_age_s: u64,
    /// Finished runs kept for one function. 0 keeps all.
    pub max_per_function: u64,
    /// How often old runs are looked for, in seconds.
    pub retention_interval_s: u64,
    /// How long a stopping server waits for runs under way, in seconds.
    pub shutdown_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_payload_bytes: 6 << 20,
            ready_wait_ms: 2_000,
            cache_idle_s: 600,
            queue_bytes: 64 << 20,
            lease_s: 30,
            poll_ms: 1_000,
            engine_attempts: 3,
            max_backoff_ms: 3_600_000,
            max_age_s: 7 * 86_400,
            max_per_function: 10_000,
            retention_interval_s: 60,
            shutdown_s: 20,
        }
    }
}

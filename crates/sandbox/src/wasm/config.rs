//! What can be set about the wasm engine.

use std::path::PathBuf;

use serde::Deserialize;

/// Limits are per server unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WasmConfig {
    /// Where compiled components are kept. Made with mode 0700; code in it is run, so nobody else
    /// may be able to write there.
    pub cache_dir: PathBuf,
    /// Where componentize-py (`python/bin`) and componentize-js (`node/node_modules`) are looked
    /// for, before PATH. Empty: only PATH.
    pub tools_dir: PathBuf,
    /// Certificates (PEM) that a component's HTTPS trusts besides the machine's. Empty: none.
    pub ca_file: PathBuf,
    /// Whether functions may name the machine itself (`localhost`) in their `egress`.
    pub egress_to_machine: bool,
    /// Linear memories that may exist at the same time: instances, for most components.
    pub max_instances: u32,
    /// Most memory one instance can be given, in MiB.
    pub max_memory_mib: u64,
    /// Bytes kept of what one call prints to stdout, and as many of stderr.
    pub max_log_bytes: usize,
    /// Longest answer of a call in bytes.
    pub max_payload_bytes: usize,
    /// Longest time componentize-py or componentize-js may take, in seconds.
    pub build_timeout_s: u64,
}

impl Default for WasmConfig {
    fn default() -> Self {
        Self {
            cache_dir: PathBuf::from("wasm-cache"),
            tools_dir: PathBuf::new(),
            ca_file: PathBuf::new(),
            egress_to_machine: false,
            max_instances: 1_000,
            max_memory_mib: 1_024,
            max_log_bytes: 256 << 10,
            max_payload_bytes: 6 << 20,
            build_timeout_s: 120,
        }
    }
}

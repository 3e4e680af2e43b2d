//! The configuration: defaults that are baked in, a file, the environment, flags; in this order.
//!
//! `config/default.toml` holds every key there is and explains it. A key it does not hold is an
//! error.

use std::net::SocketAddr;
use std::path::PathBuf;

use dispatch_model::Quota;
use dispatch_sandbox::process::ProcessConfig;
use dispatch_sandbox::wasm::WasmConfig;
use serde::Deserialize;

pub mod address;
mod document;
mod layer;

pub use document::markdown;
pub use layer::{DEFAULT, Layers};

/// All settings of the server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub api: Api,
    pub gateway: Gateway,
    pub limits: Limits,
    pub store: Store,
    pub runs: crate::invoke::Settings,
    pub process: ProcessConfig,
    pub wasm: WasmConfig,
    pub engines: EngineHealth,
    pub images: crate::content::Settings,
    pub quotas: Quotas,
    pub usage: crate::invoke::usage::UsageSettings,
    pub auth: crate::authn::Settings,
    pub audit: crate::audit::Settings,
    pub bootstrap: Bootstrap,
    pub seal: crate::seal::KeySource,
    pub secrets: crate::secrets::Settings,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Empty: chosen by [`Config::data_dir`].
    pub data_dir: String,
    /// Empty: SQLite in the data directory.
    pub database: String,
    pub shutdown_s: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    #[serde(deserialize_with = "address::deserialize")]
    pub http: SocketAddr,
    #[serde(deserialize_with = "address::deserialize")]
    pub https: SocketAddr,
    pub max_body_bytes: usize,
    pub read_timeout_s: u64,
    pub max_connections: usize,
    pub max_headers: usize,
}

impl Gateway {
    pub fn settings(&self) -> crate::gateway::Settings {
        crate::gateway::Settings {
            max_body_bytes: self.max_body_bytes,
            read_timeout_s: self.read_timeout_s,
            max_connections: self.max_connections,
            max_headers: self.max_headers,
        }
    }
}

/// What requests to the API may hold at most.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a function's source, decoded.
    pub max_source_bytes: u64,
    /// Bytes of any other body.
    pub max_body_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub synchronous: Synchronous,
    pub readers: u32,
    pub postgres_connections: u32,
    pub run_queue: usize,
    pub change_log: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    Full,
    Normal,
}

/// How engines are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineHealth {
    pub health_interval_ms: u64,
    pub health_timeout_ms: u64,
}

/// What new organizations may use at most; 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    pub functions: u64,
    pub routes: u64,
    pub storage_bytes: u64,
    pub concurrent_runs: u64,
    pub runs_per_second: u64,
    pub runs_burst: u64,
    pub memory_seconds_per_day: u64,
}

impl Quotas {
    /// # Errors
    /// When a value is beyond what a quota can be.
    pub fn quota(&self) -> anyhow::Result<Quota> {
        let set = |value: u64| (value > 0).then_some(value);
        let quota = Quota {
            functions: set(self.functions),
            routes: set(self.routes),
            storage_bytes: set(self.storage_bytes),
            concurrent_runs: set(self.concurrent_runs),
            runs_per_second: set(self.runs_per_second),
            runs_burst: set(self.runs_burst),
            memory_seconds_per_day: set(self.memory_seconds_per_day),
        };
        quota.check().map_err(|violation| anyhow::anyhow!("[quotas]: {violation}"))?;
        Ok(quota)
    }
}

/// Who may set up `iam` before anybody else can sign in. User and key are given both or not at all.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    pub user: String,
    pub public_key: String,
    /// Empty: the credential is made at random.
    pub credential_file: String,
    pub credential_lifetime_s: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: crate::telemetry::log::Format,
}

impl Config {
    /// Where the server keeps everything: as configured, else `/var/lib/dispatch` for root and
    /// the user's data directory for others.
    pub fn data_dir(&self) -> PathBuf {
        if !self.server.data_dir.is_empty() {
            return PathBuf::from(&self.server.data_dir);
        }
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/lib/dispatch");
        }
        let given = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        let base = given("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| given("HOME").map(|home| PathBuf::from(home).join(".local/share")));
        base.unwrap_or_else(|| PathBuf::from(".")).join("dispatch")
    }

    /// The URL of the database.
    pub fn database_url(&self) -> String {
        if self.server.database.is_empty() {
            return format!("sqlite:{}", self.data_dir().join("dispatch.db").display());
        }
        self.server.database.clone()
    }
}

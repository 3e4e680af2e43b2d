//! Quotas and usage as documents write them. An addition to v1.

use dispatch_model::quota as model;
use serde::{Deserialize, Serialize};

/// What an organization may use at most. What is absent has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<u64>,
    /// URIs of APIs, each for every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<u64>,
    /// Bytes of sources, secrets and images, each content once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    /// Runs under way at the same time, on each server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_runs: Option<u64>,
    /// Runs that begin in a second, on each server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_per_second: Option<u64>,
    /// Runs that may begin at once; as many as `runsPerSecond` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_burst: Option<u64>,
    /// MiB × seconds of all runs of a day (UTC), on all servers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_seconds_per_day: Option<u64>,
}

impl Quota {
    pub(crate) fn to_model(&self) -> model::Quota {
        model::Quota {
            functions: self.functions,
            routes: self.routes,
            storage_bytes: self.storage_bytes,
            concurrent_runs: self.concurrent_runs,
            runs_per_second: self.runs_per_second,
            runs_burst: self.runs_burst,
            memory_seconds_per_day: self.memory_seconds_per_day,
        }
    }

    pub(crate) fn from_model(quota: &model::Quota) -> Option<Self> {
        let shape = Self {
            functions: quota.functions,
            routes: quota.routes,
            storage_bytes: quota.storage_bytes,
            concurrent_runs: quota.concurrent_runs,
            runs_per_second: quota.runs_per_second,
            runs_burst: quota.runs_burst,
            memory_seconds_per_day: quota.memory_seconds_per_day,
        };
        (!quota.is_empty()).then_some(shape)
    }
}

/// What was used in a time: of an organization, or of one of its functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    pub organization: String,
    /// Absent where all functions are added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Unix seconds of the hour's, or the day's, beginning (UTC).
    pub time: i64,
    /// Executions; a run that is tried again counts again.
    pub runs: u64,
    /// Those of them that failed.
    pub errors: u64,
    pub duration_ms: u64,
    /// MiB the function may use × seconds, in thousandths.
    pub memory_mib_ms: u64,
    /// Bytes of inputs.
    pub bytes_in: u64,
    /// Bytes of outputs.
    pub bytes_out: u64,
    /// The most that was stored; of an organization only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    /// Most runs at the same time on one server.
    pub max_concurrency: u64,
}

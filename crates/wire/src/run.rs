//! Runs as v1 writes them.

use dispatch_model::{self as model, RawJson};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::SecretUse;
use crate::shared::{Tag, is_false, is_zero_u32, tags_from_model};

/// One execution of a function; also what a caller sends to start one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Read-only: the run's UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Uuid>,
    /// Taken from here when the query has no `functionName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
    /// Read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_id: Option<Uuid>,
    /// Read-only: the deployment that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faas_id: Option<Uuid>,
    /// Wait for the end and answer with the finished run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blocking: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub input: Option<RawJson>,
    /// Read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub output: Option<RawJson>,
    /// Read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<InvocationError>,
    /// Read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<RunLogs>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub event: Option<RawJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub http_context: Option<RawJson>,
    /// Read-only: unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed_time: Option<i64>,
    /// Read-only: unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_time: Option<i64>,
    /// Read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reason: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Read-only: the engine that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Read-only: the version that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Read-only: the version or alias it was asked for by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// Read-only: why that engine took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Read-only: attempts begun.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub attempts: u32,
    /// Read-only: which versions of secrets its last attempt was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets_used: Vec<SecretUse>,
    /// Read-only: microseconds from the start of the last attempt to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<i64>,
}

/// Why a run failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvocationError {
    /// InputError, FunctionError or SystemError.
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    #[serde(default)]
    pub stacktrace: Vec<String>,
}

/// Lines a run printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunLogs {
    #[serde(default)]
    pub stdout: Vec<String>,
    #[serde(default)]
    pub stderr: Vec<String>,
}

impl From<model::Run> for Run {
    fn from(run: model::Run) -> Self {
        let seconds = |us: i64| us.div_euclid(1_000_000);
        Run {
            name: Some(run.id),
            function_name: Some(run.function_name.to_string()),
            function_id: Some(run.function_id),
            faas_id: run.faas_id,
            blocking: run.blocking,
            input: run.input,
            output: run.output,
            error: run.error.map(|e| InvocationError {
                kind: e.kind.as_str().to_owned(),
                message: e.message,
                stacktrace: e.stacktrace,
            }),
            logs: Some(RunLogs { stdout: run.logs.stdout, stderr: run.logs.stderr }),
            secrets: run.secrets,
            services: run.services,
            event: run.event,
            http_context: run.http_context,
            executed_time: run.executed_us.map(seconds),
            finished_time: run.finished_us.map(seconds),
            status: Some(run.state.as_str().to_owned()),
            reason: run.reason,
            tags: tags_from_model(&run.tags),
            engine: run.engine,
            version: run.version,
            qualifier: run.qualifier,
            placement: run.placement,
            attempts: run.attempts,
            secrets_used: run.secrets_used.as_slice().iter().map(SecretUse::from).collect(),
            duration_us: run.executed_us.zip(run.finished_us).map(|(from, to)| to - from),
        }
    }
}

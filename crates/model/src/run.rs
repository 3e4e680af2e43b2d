//! Runs: one execution of a function each, with what went in and came out.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::secret::SecretUses;
use crate::{Name, OrgName, RawJson, State, Tags};

/// One execution of a function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// UUIDv7: runs sort by the time they were accepted.
    pub id: Uuid,
    pub org: OrgName,
    pub function_name: Name,
    pub function_id: Uuid,
    /// The deployment that served it.
    pub faas_id: Option<Uuid>,
    /// The engine that served it.
    pub engine: Option<String>,
    /// The version or alias that was asked for.
    pub qualifier: Option<String>,
    /// The version that served it.
    pub version: Option<u64>,
    /// Why that engine took it, for people.
    pub placement: Option<String>,
    pub blocking: bool,
    pub state: State,
    pub reason: Vec<String>,
    pub input: Option<RawJson>,
    pub output: Option<RawJson>,
    pub error: Option<InvocationError>,
    pub logs: Logs,
    /// Names only; values are never stored with a run.
    pub secrets: Vec<String>,
    /// Which versions of them its last attempt was given.
    #[serde(default)]
    pub secrets_used: SecretUses,
    pub services: Vec<String>,
    pub event: Option<RawJson>,
    pub http_context: Option<RawJson>,
    pub tags: Tags,
    /// Attempts begun so far.
    pub attempts: u32,
    /// Unix microseconds, when it was accepted.
    pub accepted_us: i64,
    /// Unix microseconds, when the last attempt began.
    pub executed_us: Option<i64>,
    /// Unix microseconds, when it ended, well or not.
    pub finished_us: Option<i64>,
}

/// Whose fault a failed run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InvocationErrorType {
    /// The input broke the schema; the function was not called.
    InputError,
    /// The handler threw, timed out, died, or broke its output schema.
    FunctionError,
    /// Ours.
    SystemError,
}

impl InvocationErrorType {
    pub fn as_str(self) -> &'static str {
        match self {
            InvocationErrorType::InputError => "InputError",
            InvocationErrorType::FunctionError => "FunctionError",
            InvocationErrorType::SystemError => "SystemError",
        }
    }
}

/// Why a run failed, as v1 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationError {
    #[serde(rename = "type")]
    pub kind: InvocationErrorType,
    pub message: String,
    #[serde(default)]
    pub stacktrace: Vec<String>,
}

/// Lines a run printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Logs {
    pub fn is_empty(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }
}

//! Versions of secrets, and who read them. Additions to v1, and without values.

use dispatch_model::Run;
use dispatch_model::secret::{SecretSpec, SecretUse as Used};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::SecretSource;
use crate::shared::{is_false, seconds};

/// One version of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretVersion {
    pub version: u64,
    /// Whether runs get this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub current: bool,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Where its values are, when they are not kept by Dispatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SecretSource>,
}

impl SecretVersion {
    pub fn new(spec: &SecretSpec, current: bool) -> Self {
        Self {
            version: spec.version,
            current,
            created_time: spec.made_ms.map(seconds),
            created_by: Some(spec.made_by.clone()).filter(|who| !who.is_empty()),
            source: spec.content.source().map(SecretSource::from),
        }
    }
}

/// The version a secret is to have the content of again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretRollback {
    pub version: u64,
}

/// A secret that a run was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SecretUse {
    pub name: String,
    pub version: u64,
    /// The version the store outside of Dispatch gave, when the values are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
}

impl From<&Used> for SecretUse {
    fn from(used: &Used) -> Self {
        let Used { name, version, source_version } = used.clone();
        Self { name, version, source_version }
    }
}

/// A run that read a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SecretReader {
    /// Id of the run.
    pub run: Uuid,
    pub function: String,
    /// The version of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_version: Option<u64>,
    /// The version of the secret.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// Unix seconds.
    pub time: i64,
}

impl SecretReader {
    /// Of a run, when it read the secret.
    pub fn of_run(run: &Run, secret: &str) -> Option<Self> {
        let used = run.secrets_used.as_slice().iter().find(|used| used.name == secret)?;
        Some(Self {
            run: run.id,
            function: run.function_name.to_string(),
            function_version: run.version,
            version: used.version,
            source_version: used.source_version.clone(),
            time: run.executed_us.unwrap_or(run.accepted_us).div_euclid(1_000_000),
        })
    }
}

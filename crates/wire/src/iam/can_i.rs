//! What one may do, and why. An addition to v1.

use dispatch_model::policy::Effect;
use serde::{Deserialize, Serialize};

/// Whether something may be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CanI {
    pub allowed: bool,
    /// Who asks, or who is asked about.
    pub subject: String,
    pub organization: String,
    pub action: String,
    pub resource: String,
    /// The thing that was asked about; none for any of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why, in a sentence: when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that decided, if one did: when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Decision>,
}

/// A rule that decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub policy: String,
    /// Whose policy it is.
    pub organization: String,
    /// Which of its rules: 0 is the first.
    pub rule: usize,
    pub effect: Effect,
    /// The role that says so, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Something one may do, or must not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Right {
    pub effect: Effect,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    /// Applications it is about; none for all things.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// What must be so besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<super::Condition>,
    /// The role that says so, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The policy that says so, and whose it is; none for who needs no policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    pub organization: String,
}

//! Organizations: the tenants. An organization's own row lies in the organization of its name.

use serde::{Deserialize, Serialize};

use crate::placement::PlacementSpec;
use crate::quota::Quota;
use crate::{NoStatus, kind};

kind!(
    /// Marks organizations.
    Organization, OrganizationSpec, NoStatus
);

/// The organization that exists from the first start.
pub const DEFAULT_ORGANIZATION: &str = "dispatch";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrganizationSpec {
    /// Refuse to delete what something else uses, whoever asks.
    pub protect_in_use: bool,
    /// Where functions go that say nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementSpec>,
    /// What it may use at most.
    #[serde(skip_serializing_if = "Quota::is_empty")]
    pub quota: Quota,
}

//! Applications: a name that other resources join by the tag `Application=<name>`.

use serde::{Deserialize, Serialize};

use crate::placement::PlacementSpec;
use crate::{NoStatus, kind};

kind!(
    /// Marks applications.
    Application, ApplicationSpec, NoStatus
);

/// The tag by which a resource joins an application.
pub const APPLICATION_TAG: &str = "Application";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplicationSpec {
    /// Where its functions go that say nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementSpec>,
}

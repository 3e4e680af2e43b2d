//! Groups: several subjects under one name, which rules of policies call `group:NAME`. Besides
//! those listed, whoever an identity provider says is in a group of the name is in it.

use serde::{Deserialize, Serialize};

use crate::policy::check_list;
use crate::{NoStatus, Violation, kind};

kind!(
    /// Marks groups.
    Group, GroupSpec, NoStatus
);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Names of users and service accounts of the organization.
    pub members: Vec<String>,
}

impl GroupSpec {
    /// # Errors
    /// The field that breaks a rule.
    pub fn check(&self) -> Result<(), Violation> {
        check_list("members", &self.members, 0)
    }
}

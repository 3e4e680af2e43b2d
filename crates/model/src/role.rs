//! Roles: named sets of what may be done, which rules of policies give to their subjects.

use serde::{Deserialize, Serialize};

use crate::policy::{check_actions, check_count, check_resources};
use crate::{NoStatus, Violation, kind};

kind!(
    /// Marks roles.
    Role, RoleSpec, NoStatus
);

/// Roles every organization has; no other may have their names.
pub const BUILT_IN: [&str; 5] = ["admin", "operator", "developer", "invoker", "viewer"];

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    pub permissions: Vec<Permission>,
}

/// Every action on every resource listed, as a rule of a policy has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    pub actions: Vec<String>,
    pub resources: Vec<String>,
}

impl RoleSpec {
    /// # Errors
    /// The first field that breaks a rule, by its JSON path.
    pub fn check(&self) -> Result<(), Violation> {
        check_count("permissions", self.permissions.len(), 1)?;
        for (i, permission) in self.permissions.iter().enumerate() {
            check_actions(&format!("permissions[{i}].actions"), &permission.actions)?;
            check_resources(&format!("permissions[{i}].resources"), &permission.resources)?;
        }
        Ok(())
    }
}

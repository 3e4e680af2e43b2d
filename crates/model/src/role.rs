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

/// Most resources all permissions of one role may list together: every rule that names the role is
/// found by each.
pub const MAX_RESOURCES: usize = 256;

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
        let count: usize = self.permissions.iter().map(|p| p.resources.len()).sum();
        if count > MAX_RESOURCES {
            let rule = format!("list {count} resources, at most {MAX_RESOURCES} are allowed");
            return Err(Violation::new("permissions", rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_a_limit_over_all_its_permissions() {
        let permission = |resources: usize| Permission {
            actions: vec!["get".to_owned()],
            resources: (0..resources).map(|n| format!("function/f-{n}")).collect(),
        };
        let spec = |counts: &[usize]| RoleSpec {
            permissions: counts.iter().map(|count| permission(*count)).collect(),
        };
        assert_eq!(spec(&[200, 56]).check(), Ok(()));
        assert_eq!(spec(&[200, 57]).check().unwrap_err().field, "permissions");
        assert_eq!(spec(&[]).check().unwrap_err().field, "permissions");
    }
}

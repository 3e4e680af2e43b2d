//! Policies: who may do what to what. Deny by default; there are no deny rules.

use serde::{Deserialize, Serialize};

use crate::{NoStatus, Violation, kind};

kind!(
    /// Marks policies.
    Policy, PolicySpec, NoStatus
);

/// Most rules one policy may hold, and most entries in each list of a rule.
pub const MAX_RULES: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySpec {
    pub rules: Vec<Rule>,
    /// Whether the rules hold in every organization.
    pub global: bool,
}

/// Grants every subject every action on every resource listed; `*` stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub subjects: Vec<String>,
    /// `get`, `create`, `update`, `delete` or `*`.
    pub actions: Vec<String>,
    /// First path segments below `/v1` (`function`, `runs`, `iam`, …) or `*`.
    pub resources: Vec<String>,
}

impl PolicySpec {
    pub fn check(&self) -> Result<(), Violation> {
        if self.rules.is_empty() || self.rules.len() > MAX_RULES {
            let rule = format!("has {} entries, must have 1 to {MAX_RULES}", self.rules.len());
            return Err(Violation::new("rules", rule));
        }
        for (i, rule) in self.rules.iter().enumerate() {
            let lists = [
                ("subjects", &rule.subjects),
                ("actions", &rule.actions),
                ("resources", &rule.resources),
            ];
            for (list, values) in lists {
                let field = format!("rules[{i}].{list}");
                if values.is_empty() || values.len() > MAX_RULES {
                    let rule = format!("has {} entries, must have 1 to {MAX_RULES}", values.len());
                    return Err(Violation::new(field, rule));
                }
                if values.iter().any(|v| v.trim().is_empty()) {
                    return Err(Violation::new(field, "an entry is empty"));
                }
            }
            for action in &rule.actions {
                if !matches!(action.as_str(), "get" | "create" | "update" | "delete" | "*") {
                    let text = format!("{action:?} is none of get, create, update, delete, *");
                    return Err(Violation::new(format!("rules[{i}].actions"), text));
                }
            }
        }
        Ok(())
    }
}

//! One rule of a policy.

use serde::{Deserialize, Serialize};

use super::{Condition, check_count, check_list};
use crate::{Name, Violation};

/// What a subject begins with that is a group: `group:ops`.
pub const GROUP_PREFIX: &str = "group:";

/// Most roles one rule may name.
pub const MAX_ROLES: usize = 16;

/// Gives every subject every action on every resource listed, or keeps them from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Names of users and service accounts, `group:NAME`, or `*`.
    pub subjects: Vec<String>,
    /// `get`, `create`, `update`, `delete` or `*`; empty when there are roles.
    pub actions: Vec<String>,
    /// First path segments below `/v1` (`function`, `runs`, `iam`, …) or `*`; with a name, or the
    /// beginning of one, behind a slash (`function/shop`, `function/shop-*`).
    pub resources: Vec<String>,
    /// Roles whose actions and resources these are, in place of own ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Effect::is_allow")]
    pub effect: Effect,
    /// Applications it reaches; none for all things, also those of no application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// What must be so besides.
    #[serde(default, skip_serializing_if = "Condition::is_none")]
    pub condition: Condition,
}

/// What a rule does with what it fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    #[default]
    Allow,
    /// Wins over every rule that allows.
    Deny,
}

impl Effect {
    pub fn is_allow(&self) -> bool {
        *self == Effect::Allow
    }
}

impl Rule {
    /// # Errors
    /// The first field that breaks a rule; `at` is the JSON path of this one.
    pub fn check(&self, at: &str) -> Result<(), Violation> {
        check_list(&format!("{at}.subjects"), &self.subjects, 1)?;
        let roles = format!("{at}.roles");
        if self.roles.is_empty() {
            check_actions(&format!("{at}.actions"), &self.actions)?;
            check_resources(&format!("{at}.resources"), &self.resources)?;
        } else if !self.actions.is_empty() || !self.resources.is_empty() {
            let rule = "stand in place of actions and resources: give either";
            return Err(Violation::new(roles, rule));
        }
        if self.roles.len() > MAX_ROLES {
            let count = self.roles.len();
            let rule = format!("has {count} entries, at most {MAX_ROLES} are allowed");
            return Err(Violation::new(roles, rule));
        }
        check_names(&roles, &self.roles)?;
        check_names(&format!("{at}.applications"), &self.applications)?;
        for group in self.subjects.iter().filter_map(|s| s.strip_prefix(GROUP_PREFIX)) {
            if group.is_empty() {
                let rule = format!("{GROUP_PREFIX:?} must be followed by the name of a group");
                return Err(Violation::new(format!("{at}.subjects"), rule));
            }
        }
        self.condition.check(&format!("{at}.condition"))
    }
}

/// # Errors
/// The entry that is no action.
pub fn check_actions(field: &str, actions: &[String]) -> Result<(), Violation> {
    check_list(field, actions, 1)?;
    for action in actions {
        if !matches!(action.as_str(), "get" | "create" | "update" | "delete" | "*") {
            let rule = format!("{action:?} is none of get, create, update, delete, *");
            return Err(Violation::new(field, rule));
        }
    }
    Ok(())
}

/// # Errors
/// The entry that is neither `WORD`, `WORD/NAME`, `WORD/BEGINNING*` nor `*`.
pub fn check_resources(field: &str, resources: &[String]) -> Result<(), Violation> {
    check_list(field, resources, 1)?;
    for resource in resources {
        let (word, object) = match resource.split_once('/') {
            Some((word, object)) => (word, Some(object)),
            None => (resource.as_str(), None),
        };
        let bad_word = word.contains(char::is_whitespace) || (word.contains('*') && word != "*");
        let bad_object = object.is_some_and(|object| {
            let name = object.strip_suffix('*').unwrap_or(object);
            object.is_empty() || name.contains(|c: char| c == '*' || c.is_whitespace())
        });
        if word.is_empty() || bad_word || bad_object {
            let rule = format!(
                "{resource:?} must be a resource (function), one of its names (function/shop), \
                 the beginning of names (function/shop-*) or *"
            );
            return Err(Violation::new(field, rule));
        }
    }
    Ok(())
}

fn check_names(field: &str, names: &[String]) -> Result<(), Violation> {
    check_count(field, names.len(), 0)?;
    for name in names {
        Name::new(name).map_err(|violation| Violation::new(field, violation.rule))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_few_roles_and_nothing_beside_them() {
        let rule = |roles: usize| Rule {
            subjects: vec!["ada".to_owned()],
            roles: (0..roles).map(|n| format!("role-{n}")).collect(),
            ..Rule::default()
        };
        assert_eq!(rule(MAX_ROLES).check("rules[0]"), Ok(()));
        let many = rule(MAX_ROLES + 1).check("rules[0]").unwrap_err();
        assert_eq!(many.field, "rules[0].roles");
        let both = Rule { actions: vec!["get".to_owned()], ..rule(1) };
        assert_eq!(both.check("rules[0]").unwrap_err().field, "rules[0].roles");
    }
}

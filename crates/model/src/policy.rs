//! Policies: who may do what to what, when and from where. Deny by default; what one rule denies no
//! other allows.

mod condition;
mod rule;

use serde::{Deserialize, Serialize};

use crate::{NoStatus, Violation, kind};

pub use condition::{Condition, Day, Hours, MAX_ADDRESSES};
pub use rule::{Effect, GROUP_PREFIX, MAX_ROLES, Rule, check_actions, check_resources};

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

impl PolicySpec {
    /// # Errors
    /// The first field that breaks a rule, by its JSON path.
    pub fn check(&self) -> Result<(), Violation> {
        check_count("rules", self.rules.len(), 1)?;
        self.rules.iter().enumerate().try_for_each(|(i, rule)| rule.check(&format!("rules[{i}]")))
    }
}

/// Whether a list has `least` to [`MAX_RULES`] entries.
pub(crate) fn check_count(field: &str, count: usize, least: usize) -> Result<(), Violation> {
    if (least..=MAX_RULES).contains(&count) {
        return Ok(());
    }
    let rule = format!("has {count} entries, must have {least} to {MAX_RULES}");
    Err(Violation::new(field, rule))
}

/// Whether a list has `least` to [`MAX_RULES`] entries, none of them empty or longer than a name.
pub(crate) fn check_list(field: &str, values: &[String], least: usize) -> Result<(), Violation> {
    check_count(field, values.len(), least)?;
    for value in values {
        if value.trim().is_empty() {
            return Err(Violation::new(field, "an entry is empty"));
        }
        if value.len() > MAX_ENTRY_BYTES {
            let length = value.len();
            let rule = format!("an entry is {length} bytes long, at most {MAX_ENTRY_BYTES}");
            return Err(Violation::new(field, rule));
        }
    }
    Ok(())
}

/// Most bytes of one entry: a prefix, and a name or an e-mail address.
pub const MAX_ENTRY_BYTES: usize = 320;

//! Rules as Cedar compiled them, and what it says of a request.

use std::str::FromStr as _;
use std::sync::LazyLock;

use cedar_policy::{Decision, Policy, PolicySet, Schema, ValidationMode, Validator};

use super::question::{Fact, Shown, ask};
use crate::facts::Facts;
use crate::rule::Rule;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema = Schema::from_str(include_str!("schema.cedarschema"));
    Validator::new(schema.expect("a constant, which every test reads"))
});

/// One rule as Cedar compiled it, in a set of its own.
#[derive(Debug)]
pub(crate) struct Judge {
    pub text: String,
    set: PolicySet,
    /// What it asks for.
    facts: Vec<(Fact, &'static str)>,
}

impl Judge {
    /// # Errors
    /// Why Cedar does not take it.
    pub fn new(text: String) -> Result<Judge, String> {
        let policy = Policy::parse(None, &text).map_err(|error| error.to_string())?;
        let set = PolicySet::from_policies([policy]).map_err(|error| error.to_string())?;
        let result = VALIDATOR.validate(&set, ValidationMode::Strict);
        match result.validation_errors().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(Judge { facts: Fact::asked(&text), text, set }),
        }
    }

    /// Whether the rule, which this is of, holds. Only what it asks for is shown to Cedar, so that
    /// it costs nothing how many groups and tags there are besides.
    pub fn holds(&self, rule: &Rule, facts: &Facts<'_>) -> bool {
        let (subjects, condition) = (&rule.subjects, &rule.condition);
        let named = |group: &&&str| subjects.groups.contains(**group);
        let asked =
            |(key, _): &(&String, &String)| condition.tags.iter().any(|(own, _)| **own == ***key);
        let shown = Shown {
            facts: &self.facts,
            groups: facts.groups.iter().filter(named).copied().collect(),
            tags: facts.tags().into_iter().flatten().filter(asked).collect(),
            zone: condition.hours.as_ref().map(|hours| hours.zone),
        };
        // What cannot be asked, or fails, denies: by a denial that holds, or a permission that does
        // not.
        let denies = rule.denies();
        let Some(response) = ask(&self.set, facts, &shown) else { return denies };
        if response.diagnostics().errors().next().is_some() {
            return denies;
        }
        match response.decision() {
            Decision::Allow => !denies,
            Decision::Deny => denies && response.diagnostics().reason().next().is_some(),
        }
    }
}

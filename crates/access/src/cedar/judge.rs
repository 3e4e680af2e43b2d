//! Rules as Cedar compiled them, and what it says of a request.

use std::str::FromStr as _;
use std::sync::LazyLock;

use cedar_policy::{Decision, Policy, PolicySet, Schema, ValidationMode, Validator};

use super::number::is_many;
use super::question::{Shown, ask};
use dispatch_model::Tags;

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
            None => Ok(Judge { text, set }),
        }
    }

    /// Whether the rule, which this is of, holds. Only what it asks for is shown to Cedar, so that
    /// it costs nothing how many groups and tags there are besides.
    pub fn holds<'a>(&self, rule: &Rule, facts: &Facts<'a>) -> bool {
        let (subjects, condition) = (&rule.subjects, &rule.condition);
        let groups = || {
            let named = |group: &&&str| subjects.groups.contains(**group);
            facts.groups.iter().filter(named).copied().collect()
        };
        let tags = |tags: &'a Tags| {
            let asked = |key: &str| condition.tags.iter().any(|(own, _)| &**own == key);
            tags.iter().filter(|(key, _)| asked(key)).collect()
        };
        let shown = Shown {
            home: subjects.anybody,
            number: is_many(subjects.names.len()),
            groups: (!subjects.groups.is_empty()).then(groups),
            name: rule.asks_names(),
            application: !rule.applications.is_empty(),
            // None while they are not known.
            tags: facts.tags().filter(|_| !condition.tags.is_empty()).map(tags),
            now: condition.not_before_ms.or(condition.not_after_ms).is_some(),
            zone: condition.hours.as_ref().map(|hours| hours.zone),
            source: condition.has_sources(),
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

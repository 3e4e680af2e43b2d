//! One rule of a policy, compiled.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use dispatch_model::policy::Effect;
use dispatch_model::{Name, OrgName};

use crate::cedar::Judge;
use crate::condition::Condition;
use crate::facts::Facts;
use crate::role::Permission;

/// Which rule of which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    pub org: OrgName,
    pub policy: Name,
    /// Its place among the policy's rules, from 0 on.
    pub rule: usize,
    /// Whether the policy holds in every organization.
    pub global: bool,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let global = if self.global { "global policy" } else { "policy" };
        write!(f, "rule {} of {global} {} of organization {}", self.rule, self.policy, self.org)
    }
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub which: Arc<Which>,
    pub effect: Effect,
    pub subjects: Subjects,
    pub scopes: Vec<Scope>,
    /// The roles it names, also those that there are not.
    pub roles: Vec<Box<str>>,
    /// Empty for all things, also those of no application.
    pub applications: Vec<Box<str>>,
    pub condition: Condition,
    /// Whether its policy is too large, so that it is about everything.
    pub large: bool,
    /// The same, for Cedar. None when Cedar does not take it: then an allowing rule does not hold.
    pub judge: Option<Arc<Judge>>,
}

/// What a rule says itself, or one of its roles.
#[derive(Debug)]
pub(crate) struct Scope {
    pub role: Option<Box<str>>,
    pub permissions: Arc<[Permission]>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subjects {
    /// Every subject of the policy's organization.
    pub anybody: bool,
    pub names: HashSet<Box<str>>,
    pub groups: HashSet<Box<str>>,
}

impl Subjects {
    pub fn have(&self, facts: &Facts<'_>) -> bool {
        self.anybody
            || self.names.contains(facts.request.principal.name.as_str())
            || (!self.groups.is_empty() && facts.groups.iter().any(|g| self.groups.contains(*g)))
    }

    /// Whether whoever is among the others is among these.
    pub fn cover(&self, other: &Subjects) -> bool {
        self.anybody
            || (!other.anybody
                && other.names.is_subset(&self.names)
                && other.groups.is_subset(&self.groups))
    }
}

impl Rule {
    pub fn denies(&self) -> bool {
        self.effect == Effect::Deny
    }

    /// Whether it holds, by this crate's own reading; `unknown` is the answer where the object
    /// would have to be known.
    pub fn fits(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        self.subjects.have(facts)
            && self.scope_fits(facts, unknown)
            && self.application_fits(facts, unknown)
            && self.condition.holds(facts, unknown)
    }

    /// Whether it holds by Cedar's judgement, which is asked only of rules that fit. What is not
    /// known counts for a denial and against a permission.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let denies = self.denies();
        self.fits(facts, denies)
            && match &self.judge {
                Some(judge) => judge.holds(self, facts),
                None => denies,
            }
    }

    /// Whether there can be a thing for which it holds. Where the request comes from counts as it
    /// does for the rule itself, as another thing does not change it.
    pub fn fits_some(&self, facts: &Facts<'_>) -> bool {
        let source = self.denies() || facts.request.from.is_some() || !self.condition.has_sources();
        source && self.fits(facts, true)
    }

    pub fn permissions(&self) -> impl Iterator<Item = &Permission> {
        self.scopes.iter().flat_map(|scope| scope.permissions.iter())
    }

    /// Patterns it lists itself, not through roles.
    pub fn own_patterns(&self) -> usize {
        let own = self.scopes.iter().filter(|scope| scope.role.is_none());
        own.flat_map(|scope| scope.permissions.iter()).map(|own| own.patterns.len()).sum()
    }

    /// The rule of a policy that is too large: what it is about is not read.
    #[must_use]
    pub fn widened(self) -> Rule {
        let everything = Scope { role: None, permissions: Arc::from([Permission::everything()]) };
        Rule { scopes: vec![everything], large: true, ..self }
    }

    /// What of it fits the action and the resource.
    pub fn scope(&self, facts: &Facts<'_>, unknown: bool) -> Option<&Scope> {
        let (action, word) = (facts.request.action, facts.request.resource);
        let fits = |p: &Permission| p.fits(action, word, facts.name, unknown);
        self.scopes.iter().find(|scope| scope.permissions.iter().any(fits))
    }

    fn scope_fits(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        self.scope(facts, unknown).is_some()
    }

    pub fn application_fits(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        if self.applications.is_empty() {
            return true;
        }
        if facts.tags().is_none() {
            return unknown;
        }
        facts.application.is_some_and(|own| self.applications.iter().any(|a| &**a == own))
    }
}

//! All that is stored about access, compiled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dispatch_model::group::Group;
use dispatch_model::policy::{Effect, Policy};
use dispatch_model::role::Role;
use dispatch_model::{OrgName, Resource};

use crate::broken::Broken;
use crate::cedar::{Judge, text};
use crate::compile::{self, Reading};
use crate::facts::Facts;
use crate::index::Index;
use crate::request::{Principal, Request};
use crate::role::Roles;
use crate::rule::Rule;

/// What [`Policies`] are compiled from, of all organizations.
#[derive(Debug, Default)]
pub struct Stored {
    pub organizations: HashSet<OrgName>,
    pub policies: Vec<Resource<Policy>>,
    pub roles: Vec<Resource<Role>>,
    pub groups: Vec<Resource<Group>>,
}

/// Decides. It never changes; reads need no lock.
#[derive(Debug, Default)]
pub struct Policies {
    organizations: HashSet<OrgName>,
    pub(crate) rules: Vec<Arc<Rule>>,
    tables: HashMap<OrgName, Tables>,
    /// Rules of policies that are too large. Those that allow are nowhere else.
    pub(crate) large: Vec<Arc<Rule>>,
    /// Groups by the names of their members.
    memberships: HashMap<OrgName, HashMap<Box<str>, Vec<Arc<str>>>>,
    pub(crate) roles: Roles,
    broken: Vec<Broken>,
}

/// The rules one organization made.
#[derive(Debug, Default)]
struct Tables {
    /// Those that hold in it.
    local: Table,
    /// Those that hold everywhere.
    global: Table,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    allow: Index,
    deny: Index,
}

impl Table {
    pub fn of(&self, effect: Effect) -> &Index {
        match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        }
    }
}

impl Policies {
    /// `before` is what held until now: rules that have not changed are not compiled again.
    pub fn new(stored: &Stored, before: Option<&Policies>) -> Policies {
        let mut broken = Vec::new();
        let mut policies = Policies {
            organizations: stored.organizations.clone(),
            roles: Roles::new(&stored.roles, &mut broken),
            memberships: memberships(&stored.groups),
            ..Policies::default()
        };
        let known: HashMap<&str, &Arc<Judge>> =
            before.into_iter().flat_map(Policies::judges).collect();
        for Resource { meta, spec, .. } in &stored.policies {
            let (org, name) = (&meta.org, &meta.name);
            let rules =
                compile::rules(org, name, spec, &policies.roles, Reading::Safe, &mut broken);
            for rule in rules {
                policies.add(judged(rule, &known, &mut broken));
            }
        }
        policies.broken = broken;
        policies
    }

    fn judges(&self) -> impl Iterator<Item = (&str, &Arc<Judge>)> {
        let judges = self.rules.iter().filter_map(|rule| rule.judge.as_ref());
        judges.map(|judge| (judge.text.as_str(), judge))
    }

    fn add(&mut self, rule: Rule) {
        let rule = Arc::new(rule);
        if rule.large {
            self.large.push(rule.clone());
            if !rule.denies() {
                return;
            }
        }
        let number = u32::try_from(self.rules.len()).expect("no memory holds so many rules");
        let tables = self.tables.entry(rule.which.org.clone()).or_default();
        let table = if rule.which.global { &mut tables.global } else { &mut tables.local };
        let index = if rule.denies() { &mut table.deny } else { &mut table.allow };
        index.add(number, &rule);
        self.rules.push(rule);
    }

    pub fn has_organization(&self, org: &OrgName) -> bool {
        self.organizations.contains(org)
    }

    /// What is stored and cannot be read, or not wholly.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Whether a rule that holds in the organization allows the principal anything there: then it
    /// may know that the organization exists.
    pub fn names(&self, principal: &Principal, org: &OrgName) -> bool {
        let (action, resource) = (crate::Action::Get, "");
        let request =
            Request { principal, org, action, resource, object: None, from: None, now_ms: 0 };
        let facts = self.facts(request);
        let mut tables = self.tables(&facts);
        tables.any(|table| table.allow.of_subject(&facts).iter().any(|list| !list.is_empty()))
    }

    pub(crate) fn facts<'a>(&'a self, request: Request<'a>) -> Facts<'a> {
        let principal = request.principal;
        let mut groups: Vec<&str> = principal.groups.iter().map(String::as_str).collect();
        let members = principal.home.as_ref().and_then(|home| self.memberships.get(home));
        let stored = members.and_then(|members| members.get(principal.name.as_str()));
        groups.extend(stored.into_iter().flatten().map(|group| &**group));
        groups.sort_unstable();
        groups.dedup();
        Facts::new(request, groups)
    }

    /// Where the rules stand that can be about a request: those of its organization, for subjects
    /// of that, and those of the subject's own that hold everywhere.
    pub(crate) fn tables<'a>(&'a self, facts: &Facts<'_>) -> impl Iterator<Item = &'a Table> {
        let home = facts.request.principal.home.as_ref();
        let own = home.and_then(|home| self.tables.get(home));
        let local = own.filter(|_| home == Some(facts.request.org)).map(|own| &own.local);
        local.into_iter().chain(own.map(|own| &own.global))
    }

    /// Rules among which are all of an effect that fit, one perhaps twice.
    pub(crate) fn candidates<'a>(
        &'a self,
        facts: &'a Facts<'_>,
        effect: Effect,
        unknown: bool,
    ) -> impl Iterator<Item = &'a Arc<Rule>> {
        let of = move |table: &'a Table| table.of(effect).candidates(facts, unknown);
        self.tables(facts).flat_map(of).map(|number| &self.rules[number as usize])
    }
}

/// With Cedar's reading, the one from before if the text is the same.
fn judged(mut rule: Rule, known: &HashMap<&str, &Arc<Judge>>, broken: &mut Vec<Broken>) -> Rule {
    let text = text(&rule);
    rule.judge = match known.get(text.as_str()) {
        Some(judge) => Some(Arc::clone(judge)),
        None => Judge::new(text)
            .map_err(|error| broken.push(Broken::rule(&rule.which, error)))
            .ok()
            .map(Arc::new),
    };
    rule
}

fn memberships(groups: &[Resource<Group>]) -> HashMap<OrgName, HashMap<Box<str>, Vec<Arc<str>>>> {
    let mut memberships: HashMap<OrgName, HashMap<Box<str>, Vec<Arc<str>>>> = HashMap::new();
    for Resource { meta, spec, .. } in groups {
        let own = memberships.entry(meta.org.clone()).or_default();
        for member in &spec.members {
            own.entry(member.as_str().into()).or_default().push(meta.name.shared());
        }
    }
    memberships
}

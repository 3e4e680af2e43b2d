//! Nobody gives what they do not have: changes of policies, roles, groups and accounts, held
//! against the rights of whoever makes them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use dispatch_model::group::GroupSpec;
use dispatch_model::policy::{Effect, PolicySpec};
use dispatch_model::role::RoleSpec;
use dispatch_model::{Name, OrgName};

use crate::Action;
use crate::compile::{self, Reading};
use crate::policies::Policies;
use crate::region::{Holdings, Lack, Region};
use crate::request::{Principal, Request};
use crate::role::{Permission, Roles};
use crate::rule::{Rule, Subjects, Which};
use crate::size::MAX_PATTERNS;

/// A change of what is stored: what was there, and what will be. Making has nothing before it,
/// deleting nothing after it.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    Policy {
        before: Option<&'a PolicySpec>,
        after: Option<&'a PolicySpec>,
    },
    Role {
        name: &'a str,
        before: Option<&'a RoleSpec>,
        after: Option<&'a RoleSpec>,
    },
    Group {
        name: &'a str,
        before: Option<&'a GroupSpec>,
        after: Option<&'a GroupSpec>,
    },
    /// An account is made, or gets another key: whoever holds the key has its rights.
    Account {
        name: &'a str,
    },
}

/// A change would give what its author lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    pub org: OrgName,
    /// The actions lacking, as rules write them.
    pub actions: String,
    /// What they are lacking on: `function/shop-*`.
    pub resource: String,
    /// Whether they would have to be held in every organization.
    pub global: bool,
    /// The applications, and whether there is a condition, within which they would have to be held.
    pub applications: Vec<String>,
    pub conditional: bool,
    /// The rule that denies the author some of it; none when nothing gives all of it.
    pub denied: Option<Arc<Which>>,
}

impl std::error::Error for Beyond {}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.global {
            true => "every organization".to_owned(),
            false => format!("organization {}", self.org),
        };
        write!(
            f,
            "only what one may do oneself can be given: {} on {} in {place}",
            self.actions, self.resource
        )?;
        if !self.applications.is_empty() {
            write!(f, ", application {}", self.applications.join(", "))?;
        }
        match &self.denied {
            Some(which) => write!(f, " is denied, at least in part, by {which}"),
            None if self.conditional => write!(f, ", as widely as its condition says, is lacking"),
            None => write!(f, ", without condition, is lacking"),
        }
    }
}

impl Policies {
    /// Whether somebody's own rights are at least as wide as all that a change in an organization
    /// gives to anybody: by new or wider permission, and by denials that end or become narrower.
    /// What cannot be compared counts as lacking. Whether the author may change such things at all
    /// is another question, for [`Policies::decide`].
    ///
    /// # Errors
    /// The first part the author lacks.
    pub fn may_grant(
        &self,
        author: &Principal,
        org: &OrgName,
        change: Change<'_>,
    ) -> Result<(), Beyond> {
        // Only who asks, and where, counts.
        let (action, resource) = (Action::Get, "");
        let request = Request {
            principal: author,
            org,
            action,
            resource,
            object: None,
            from: None,
            now_ms: 0,
        };
        let facts = self.facts(request);
        let grant = Grant { policies: self, org, holdings: Holdings::of(self, &facts) };
        match change {
            Change::Policy { before, after } => grant.policy(before, after),
            Change::Role { name, before, after } => grant.role(name, before, after),
            Change::Group { name, before, after } => grant.group(name, before, after),
            Change::Account { name } => grant.account(name),
        }
    }
}

struct Grant<'a> {
    policies: &'a Policies,
    org: &'a OrgName,
    holdings: Holdings<'a>,
}

impl Grant<'_> {
    fn policy(
        &self,
        before: Option<&PolicySpec>,
        after: Option<&PolicySpec>,
    ) -> Result<(), Beyond> {
        let size = |spec: &PolicySpec| self.policies.patterns(self.org, spec);
        let large = |spec: Option<&PolicySpec>| spec.is_some_and(|own| size(own) > MAX_PATTERNS);
        let unchanged = |rule: &dispatch_model::policy::Rule, other: Option<&PolicySpec>| {
            let global = before.map(|spec| spec.global) == after.map(|spec| spec.global);
            let read = large(before) == large(after);
            global && read && other.is_some_and(|spec| spec.rules.contains(rule))
        };
        let only = |spec: Option<&PolicySpec>, other: Option<&PolicySpec>, effect: Effect| {
            let mut rest = spec.cloned().unwrap_or_default();
            rest.rules.retain(|rule| rule.effect == effect && !unchanged(rule, other));
            let rules = self.compiled(&rest, &self.policies.roles);
            match large(spec) {
                true => rules.into_iter().map(Rule::widened).collect(),
                false => rules,
            }
        };
        let given = only(after, before, Effect::Allow);
        let released = only(before, after, Effect::Deny);
        given.iter().chain(&released).try_for_each(|rule| self.cover(&Region::of(rule)))
    }

    fn role(
        &self,
        name: &str,
        before: Option<&RoleSpec>,
        after: Option<&RoleSpec>,
    ) -> Result<(), Beyond> {
        let roles = &self.policies.roles;
        let (old, new) = (roles.with(self.org, name, before), roles.with(self.org, name, after));
        let naming = |rule: &&Arc<Rule>| rule.roles.iter().any(|role| &**role == name);
        // With another role a policy that is too large may be read again: that gives all its rules
        // could give, and ends what its denials deny.
        let large = || self.policies.large.iter().filter(|rule| &rule.which.org == self.org);
        let read = |rule: &&Arc<Rule>| {
            large().filter(naming).any(|other| other.which.policy == rule.which.policy)
        };
        large().filter(read).try_for_each(|rule| self.cover(&Region::of(rule)))?;
        self.own_rules().filter(naming).try_for_each(|rule| {
            let denies = rule.denies();
            let of = |roles: &Roles| {
                let everything = || Arc::from([Permission::everything()]);
                let found = roles.find(self.org, name, denies);
                found.or_else(|| denies.then(everything)).unwrap_or_default()
            };
            let (wider, base) = if denies { (of(&old), of(&new)) } else { (of(&new), of(&old)) };
            let new = |own: &&Permission| !base.iter().any(|base| base.covers(own));
            let permissions = wider.iter().filter(new).collect();
            self.cover(&Region { permissions, ..Region::of(rule) })
        })
    }

    fn group(
        &self,
        name: &str,
        before: Option<&GroupSpec>,
        after: Option<&GroupSpec>,
    ) -> Result<(), Beyond> {
        let members = |spec: Option<&GroupSpec>| -> HashSet<Box<str>> {
            spec.into_iter().flat_map(|spec| &spec.members).map(|m| m.as_str().into()).collect()
        };
        let (old, new) = (members(before), members(after));
        let subjects = |names: HashSet<Box<str>>| Subjects { names, ..Subjects::default() };
        let joining = subjects(new.difference(&old).cloned().collect());
        let leaving = subjects(old.difference(&new).cloned().collect());
        let naming = |rule: &&Arc<Rule>| rule.subjects.groups.contains(name);
        self.own_rules().filter(naming).try_for_each(|rule| {
            let subjects = if rule.denies() { &leaving } else { &joining };
            if subjects.names.is_empty() {
                return Ok(());
            }
            self.cover(&Region { subjects, ..Region::of(rule) })
        })
    }

    fn account(&self, name: &str) -> Result<(), Beyond> {
        let principal =
            Principal { home: Some(self.org.clone()), name: name.to_owned(), groups: Vec::new() };
        let (action, resource) = (Action::Get, "");
        let request = Request {
            principal: &principal,
            org: self.org,
            action,
            resource,
            object: None,
            from: None,
            now_ms: 0,
        };
        let facts = self.policies.facts(request);
        let subjects = Subjects { names: HashSet::from([name.into()]), ..Subjects::default() };
        let given = self.own_rules().filter(|rule| !rule.denies() && rule.subjects.have(&facts));
        given
            .into_iter()
            .try_for_each(|rule| self.cover(&Region { subjects: &subjects, ..Region::of(rule) }))
    }

    /// The rules the organization made.
    fn own_rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.policies.rules.iter().filter(|rule| &rule.which.org == self.org)
    }

    /// As wide as the rules can become: what cannot be read today may be tomorrow.
    fn compiled(&self, spec: &PolicySpec, roles: &Roles) -> Vec<Rule> {
        let policy = Name::trusted("(new)");
        compile::rules(self.org, &policy, spec, roles, Reading::Widest, &mut Vec::new())
    }

    fn cover(&self, region: &Region<'_>) -> Result<(), Beyond> {
        self.holdings.cover(region).map_err(|Lack { actions, pattern, denied }| Beyond {
            org: self.org.clone(),
            actions: actions.words(),
            resource: pattern.to_string(),
            global: region.global,
            applications: region.applications.iter().map(|name| name.to_string()).collect(),
            conditional: !region.condition.is_none(),
            denied,
        })
    }
}

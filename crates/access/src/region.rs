//! What a rule reaches, and whether somebody's own rights reach as far.

use std::sync::Arc;

use dispatch_model::OrgName;
use dispatch_model::policy::Effect;

use crate::action::Actions;
use crate::condition::Condition;
use crate::facts::Facts;
use crate::pattern::Pattern;
use crate::policies::Policies;
use crate::request::Request;
use crate::role::Permission;
use crate::rule::{Rule, Subjects, Which};

/// Actions on things, wherever, whenever and from wherever a rule says.
pub(crate) struct Region<'a> {
    /// Whom it is given to.
    pub subjects: &'a Subjects,
    pub permissions: Vec<&'a Permission>,
    pub applications: &'a [Box<str>],
    pub condition: &'a Condition,
    pub global: bool,
    /// The organization whose subjects they are.
    pub org: &'a OrgName,
    /// Whether it is the end of a denial that gives it. Then denials do not keep it from anybody.
    pub released: bool,
}

/// The first part of a region that somebody does not have.
pub(crate) struct Lack {
    pub actions: Actions,
    pub pattern: Pattern,
    /// The rule that denies it; none when none allows it.
    pub denied: Option<Arc<Which>>,
}

/// What somebody has: the rules that name it.
pub(crate) struct Holdings<'a> {
    allow: Vec<&'a Arc<Rule>>,
    /// Also those that bind it at home only, which is a part of everywhere.
    deny: Vec<&'a Arc<Rule>>,
}

impl<'a> Region<'a> {
    pub fn of(rule: &'a Rule) -> Region<'a> {
        Region {
            subjects: &rule.subjects,
            permissions: rule.permissions().collect(),
            applications: &rule.applications,
            condition: &rule.condition,
            global: rule.which.global,
            org: &rule.which.org,
            released: rule.denies(),
        }
    }
}

impl<'a> Holdings<'a> {
    pub fn of(policies: &'a Policies, facts: &Facts<'_>) -> Holdings<'a> {
        let of = |facts: &Facts<'_>, effect: Effect| {
            let tables = policies.tables(facts);
            let lists = tables.flat_map(|table| table.of(effect).of_subject(facts));
            let mut numbers: Vec<u32> = lists.flatten().copied().collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers.into_iter().map(|number| &policies.rules[number as usize]).collect()
        };
        let org = facts.request.principal.home.as_ref().unwrap_or(facts.request.org);
        let at_home = Facts::new(Request { org, ..facts.request }, facts.groups.clone());
        Holdings { allow: of(facts, Effect::Allow), deny: of(&at_home, Effect::Deny) }
    }

    /// # Errors
    /// What of the region is lacking. Where it is not plain that something is held, it is not.
    pub fn cover(&self, region: &Region<'_>) -> Result<(), Lack> {
        let useful = |rule: &&&Arc<Rule>| {
            (rule.which.global || !region.global)
                && rule.judge.is_some()
                && rule.condition.covers(region.condition)
        };
        let allow: Vec<&Arc<Rule>> = self.allow.iter().filter(useful).copied().collect();
        for permission in &region.permissions {
            for actions in permission.actions.parts() {
                for pattern in &permission.patterns {
                    let lack = |denied| Lack { actions, pattern: pattern.clone(), denied };
                    if !held(&allow, actions, pattern, region.applications) {
                        return Err(lack(None));
                    }
                    if let Some(rule) = self.denied(region, actions, pattern) {
                        return Err(lack(Some(rule.which.clone())));
                    }
                }
            }
        }
        Ok(())
    }

    /// A rule that keeps a part of it from somebody, and not from those it is given to.
    fn denied(&self, region: &Region<'_>, actions: Actions, pattern: &Pattern) -> Option<&Rule> {
        let all = |rule: &Rule| {
            !region.released
                && &rule.which.org == region.org
                && rule.subjects.cover(region.subjects)
                && (rule.which.global || !region.global)
        };
        let meets = |rule: &Rule| {
            let one = |own: &Permission| {
                own.actions.overlaps(actions) && own.patterns.iter().any(|p| p.overlaps(pattern))
            };
            (rule.applications.is_empty()
                || region.applications.is_empty()
                || rule.applications.iter().any(|name| region.applications.contains(name)))
                && rule.condition.overlaps(region.condition)
                && rule.permissions().any(one)
        };
        let there =
            |rule: &Rule| rule.which.global || region.global || &rule.which.org == region.org;
        let deny = self.deny.iter().map(|rule| &***rule);
        deny.into_iter().find(|rule| there(rule) && meets(rule) && !all(rule))
    }
}

/// Whether rules give it: one for all applications, or several for those that are asked for.
fn held(
    allow: &[&Arc<Rule>],
    actions: Actions,
    pattern: &Pattern,
    applications: &[Box<str>],
) -> bool {
    let gives = |rule: &Rule| {
        rule.permissions().any(|own| {
            own.actions.covers(actions) && own.patterns.iter().any(|own| own.covers(pattern))
        })
    };
    let mut missing: Vec<&Box<str>> = applications.iter().collect();
    allow.iter().filter(|rule| gives(rule)).any(|rule| {
        missing.retain(|name| !rule.applications.contains(name));
        rule.applications.is_empty() || (!applications.is_empty() && missing.is_empty())
    })
}

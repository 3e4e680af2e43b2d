//! Rules as they are stored, compiled. What cannot be read never widens what is allowed.

use std::sync::Arc;

use dispatch_model::policy::{GROUP_PREFIX, PolicySpec, Rule as Model};
use dispatch_model::{Name, OrgName, Violation};

use crate::broken::Broken;
use crate::condition::Condition;
use crate::hours;
use crate::role::{Permission, Roles, built_in};
use crate::rule::{Rule, Scope, Subjects, Which};
use crate::size::{MAX_PATTERNS, check_patterns, patterns, too_many};

/// Checks what the model cannot: whether time zones exist, and how large the policy is without the
/// roles organizations make, which [`Policies::check_policy`] counts too.
///
/// [`Policies::check_policy`]: crate::Policies::check_policy
///
/// # Errors
/// The first field that breaks a rule, by its JSON path.
pub fn check(spec: &PolicySpec) -> Result<(), Violation> {
    for (i, rule) in spec.rules.iter().enumerate() {
        if let Some(hours) = &rule.condition.hours {
            let field = format!("rules[{i}].condition.hours.timeZone");
            hours::zone(&hours.time_zone).map_err(|rule| Violation::new(field, rule))?;
        }
    }
    let given = |role: &str| {
        let permissions = built_in(role).unwrap_or_default().permissions;
        permissions.iter().map(|permission| permission.resources.len()).sum()
    };
    check_patterns("rules", "list", patterns(spec, given))
}

/// How unreadable parts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As the effect asks: they allow nothing and deny everything.
    Safe,
    /// As if they held always: what the rule would give at most.
    Widest,
}

/// The rules of one policy. Those of one that is too large are about everything, and for grants
/// only, unless they deny.
pub(crate) fn rules(
    org: &OrgName,
    policy: &Name,
    spec: &PolicySpec,
    roles: &Roles,
    reading: Reading,
    broken: &mut Vec<Broken>,
) -> Vec<Rule> {
    let count = patterns(spec, |role| roles.patterns(org, role));
    let large = count > MAX_PATTERNS;
    if large {
        broken.push(Broken::policy(org, policy, too_many("lists", count)));
    }
    let one = |(number, model): (usize, &Model)| {
        let (org, policy) = (org.clone(), policy.clone());
        let which = Arc::new(Which { org, policy, rule: number, global: spec.global });
        let mut wrong = Vec::new();
        let rule = rule(which.clone(), model, roles, reading, &mut wrong);
        broken.extend(wrong.into_iter().map(|what| Broken::rule(&which, what)));
        if large { rule.map(Rule::widened) } else { rule }
    };
    spec.rules.iter().enumerate().filter_map(one).collect()
}

/// None for a rule that allows nothing, since what it says cannot be read.
fn rule(
    which: Arc<Which>,
    model: &Model,
    roles: &Roles,
    reading: Reading,
    wrong: &mut Vec<String>,
) -> Option<Rule> {
    let wide = reading == Reading::Widest || !model.effect.is_allow();
    let subjects = subjects(model, wrong);
    let scopes = scopes(&which.org, model, roles, wide, wrong);
    let (condition, unread) = Condition::new(&model.condition);
    let allows_nothing = !wide && !unread.is_empty();
    wrong.extend(unread);
    if allows_nothing {
        return None;
    }
    let boxed = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
    Some(Rule {
        which,
        effect: model.effect,
        subjects,
        scopes,
        roles: boxed(&model.roles),
        applications: boxed(&model.applications),
        condition,
        large: false,
        judge: None,
    })
}

fn subjects(model: &Model, wrong: &mut Vec<String>) -> Subjects {
    let mut subjects = Subjects::default();
    for text in &model.subjects {
        match text.strip_prefix(GROUP_PREFIX) {
            Some("") => wrong.push(format!("{text:?} names no group")),
            Some(group) => {
                subjects.groups.insert(group.into());
            }
            None if text == "*" => subjects.anybody = true,
            None => {
                subjects.names.insert(text.as_str().into());
            }
        }
    }
    subjects
}

fn scopes(
    org: &OrgName,
    model: &Model,
    roles: &Roles,
    wide: bool,
    wrong: &mut Vec<String>,
) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for name in &model.roles {
        let found = roles.find(org, name, wide);
        if found.is_none() {
            wrong.push(format!("there is no role {name:?}"));
        }
        let everything = || Arc::from([Permission::everything()]);
        if let Some(permissions) = found.or_else(|| wide.then(everything)) {
            scopes.push(Scope { role: Some(name.as_str().into()), permissions });
        }
    }
    if model.roles.is_empty() || !(model.actions.is_empty() && model.resources.is_empty()) {
        let own = Permission::new(&model.actions, &model.resources, wide, wrong);
        scopes.push(Scope { role: None, permissions: Arc::from([own]) });
    }
    scopes
}

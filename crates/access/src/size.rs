//! How large a policy is. Cedar compares every pattern of every rule, those of its roles included:
//! rules, roles and resources have limits of their own, but multiply.

use dispatch_model::policy::{PolicySpec, Rule as Model};
use dispatch_model::role::RoleSpec;
use dispatch_model::{OrgName, Violation};

use crate::policies::Policies;
use crate::rule::Rule;

/// Most patterns the rules of one policy may have together. Those of a role count for each rule
/// that names it.
pub const MAX_PATTERNS: usize = 10_000;

/// `role` is how many patterns a role has.
pub(crate) fn patterns(spec: &PolicySpec, role: impl Fn(&str) -> usize) -> usize {
    let one = |rule: &Model| {
        rule.resources.len() + rule.roles.iter().map(|name| role(name)).sum::<usize>()
    };
    spec.rules.iter().map(one).sum()
}

/// # Errors
/// That there are too many, at `field`.
pub(crate) fn check_patterns(field: &str, what: &str, count: usize) -> Result<(), Violation> {
    if count <= MAX_PATTERNS {
        return Ok(());
    }
    Err(Violation::new(field, too_many(what, count)))
}

pub(crate) fn too_many(what: &str, count: usize) -> String {
    format!("{what} {count} resources with those of the roles, at most {MAX_PATTERNS} are allowed")
}

impl Policies {
    /// Checks a policy's size with the roles that are stored, which [`crate::check`] does not know.
    ///
    /// # Errors
    /// That it is too large.
    pub fn check_policy(&self, org: &OrgName, spec: &PolicySpec) -> Result<(), Violation> {
        check_patterns("rules", "list", self.patterns(org, spec))
    }

    /// Checks whether the policies that name a role would be too large with it.
    ///
    /// # Errors
    /// The first that would.
    pub fn check_role(&self, org: &OrgName, name: &str, spec: &RoleSpec) -> Result<(), Violation> {
        let new: usize = spec.permissions.iter().map(|own| own.resources.len()).sum();
        let role = |own: &str| if own == name { new } else { self.roles.patterns(org, own) };
        let size = |rule: &Rule| {
            rule.own_patterns() + rule.roles.iter().map(|own| role(own)).sum::<usize>()
        };
        let own = |rule: &&Rule| &rule.which.org == org;
        // The rules of one policy follow each other.
        let rules: Vec<&Rule> = self.rules.iter().map(|rule| &**rule).filter(own).collect();
        rules.chunk_by(|one, next| one.which.policy == next.which.policy).try_for_each(|policy| {
            if !policy.iter().any(|rule| rule.roles.iter().any(|own| &**own == name)) {
                return Ok(());
            }
            let what = format!("make policy {} list", policy[0].which.policy);
            check_patterns("permissions", &what, policy.iter().map(|rule| size(rule)).sum())
        })
    }

    pub(crate) fn patterns(&self, org: &OrgName, spec: &PolicySpec) -> usize {
        patterns(spec, |role| self.roles.patterns(org, role))
    }
}

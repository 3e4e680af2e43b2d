//! A policy that is too large is refused, and where one is stored it allows nothing.

use dispatch_model::policy::{Effect, PolicySpec, Rule};
use dispatch_model::role::{MAX_RESOURCES, RoleSpec};

use super::kit::*;
use crate::{Change, MAX_PATTERNS, Policies};

/// As many as a role may have.
const EACH: usize = MAX_RESOURCES;
/// With so many rules that name the role, and one with the rest, a policy is as large as can be.
const RULES: usize = MAX_PATTERNS / EACH;
const REST: usize = MAX_PATTERNS % EACH;

fn role(resources: usize) -> RoleSpec {
    let names: Vec<String> = (0..resources).map(|n| format!("function/f-{n}")).collect();
    role_spec(&[("get", &names.join(","))])
}

fn policy(rest: usize) -> Vec<Rule> {
    let names: Vec<String> = (0..rest).map(|n| format!("runs/r-{n}")).collect();
    let mut rules = vec![with_roles("ada", "big"); RULES];
    rules.push(allow("ada", "get", &names.join(",")));
    rules
}

fn world(rules: Vec<Rule>, role: RoleSpec) -> World {
    World::new()
        .policy("a", "large", rules)
        .policy("a", "other", vec![allow("ada", "update", "*"), allow("root", "*", "*")])
        .role("a", "big", role)
}

fn build(rules: Vec<Rule>, resources: usize) -> Policies {
    world(rules, role(resources)).build()
}

fn denying(rules: Vec<Rule>) -> Vec<Rule> {
    rules.into_iter().map(|rule| Rule { effect: Effect::Deny, ..rule }).collect()
}

#[test]
fn a_policy_may_list_so_many_resources_with_those_of_its_roles_and_no_more() {
    let spec = |rest: usize| PolicySpec { rules: policy(rest), global: false };
    let policies = build(Vec::new(), EACH);
    assert_eq!(crate::check(&spec(REST)), Ok(()));
    assert_eq!(policies.check_policy(&org("a"), &spec(REST)), Ok(()));
    let violation = policies.check_policy(&org("a"), &spec(REST + 1)).unwrap_err();
    assert_eq!(violation.field, "rules");
    let rule = "list 10001 resources with those of the roles, at most 10000 are allowed";
    assert_eq!(violation.rule, rule);
    // Without the stored roles, too.
    let own = allow("ada", "get", &vec!["runs"; EACH].join(","));
    let spec = |rules: usize| PolicySpec { rules: vec![own.clone(); rules], global: false };
    assert_eq!(crate::check(&spec(RULES)), Ok(()));
    assert_eq!(crate::check(&spec(RULES + 1)).unwrap_err().field, "rules");
    let viewers = PolicySpec { rules: vec![with_roles("ada", "viewer"); 1_000], global: false };
    assert_eq!(crate::check(&viewers).unwrap_err().field, "rules");
}

#[test]
fn a_role_may_not_make_a_policy_too_large() {
    let policies = build(policy(REST), EACH - 1);
    assert_eq!(policies.check_role(&org("a"), "big", &role(EACH)), Ok(()));
    let violation = policies.check_role(&org("a"), "big", &role(EACH + 1)).unwrap_err();
    assert_eq!(violation.field, "permissions");
    assert!(violation.rule.starts_with("make policy large list 10039 "), "{}", violation.rule);
    assert_eq!(policies.check_role(&org("b"), "big", &role(EACH + 1)), Ok(()));
    assert_eq!(policies.check_role(&org("a"), "other", &role(EACH + 1)), Ok(()));
}

#[test]
fn a_policy_that_is_too_large_allows_nothing_and_its_denials_deny_everything() {
    let questions = |read: bool| {
        [
            ("a/ada get function/f-255", read),
            ("a/ada get runs/r-1", read),
            ("a/ada update runs", true),
        ]
    };
    let policies = build(policy(REST), EACH);
    assert!(policies.broken().is_empty(), "{:?}", policies.broken());
    table(&policies, &questions(true));
    let policies = build(policy(REST + 1), EACH);
    table(&policies, &questions(false));
    assert_eq!(
        policies.broken()[0].to_string(),
        "policy large of organization a: lists 10001 resources with those of the roles, at most \
         10000 are allowed"
    );
    let policies = build(denying(policy(REST + 1)), EACH);
    table(&policies, &[("a/ada update runs", false), ("a/root update runs", true)]);
    assert_eq!(policies.broken().len(), 1);
}

#[test]
fn what_a_policy_that_is_too_large_would_give_is_all_there_is() {
    for rules in [policy(REST + 1), denying(policy(REST + 1))] {
        let policies = build(rules.clone(), EACH);
        let (large, less) = (
            PolicySpec { rules: rules.clone(), global: false },
            PolicySpec { rules: rules[1..].to_vec(), global: false },
        );
        let (before, after) = (role(EACH), role(1));
        let changes = [
            // One rule less, and it is read again.
            Change::Policy { before: Some(&large), after: Some(&less) },
            Change::Role { name: "big", before: Some(&before), after: Some(&after) },
        ];
        for change in changes {
            let may = |name: &str| {
                let author = ask(&format!("a/{name} get iam")).principal;
                policies.may_grant(&author, &org("a"), change).is_ok()
            };
            assert!(may("root"), "{change:?}");
            assert!(!may("ada"), "{change:?}");
        }
    }
}

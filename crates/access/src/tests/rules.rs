//! Whom a rule names, where it holds, and what wins.

use dispatch_model::application::APPLICATION_TAG;
use dispatch_model::policy::{Condition, MAX_ADDRESSES, MAX_ROLES, MAX_RULES, Rule};
use dispatch_model::role::MAX_RESOURCES;

use super::kit::*;
use crate::{Policies, Principal, Stored};

#[test]
fn nothing_is_allowed_without_a_rule() {
    table(&World::new().build(), &[("a/ada get function", false), ("a/ada get function/x", false)]);
}

#[test]
fn every_part_of_a_rule_must_fit() {
    let policies = one(vec![allow("ada", "get,create", "function,runs")]);
    table(
        &policies,
        &[
            ("a/ada get function", true),
            ("a/ada get function/shop", true),
            ("a/ada create runs", true),
            ("a/ada delete function", false),
            ("a/ada get secret", false),
            ("a/bob get function", false),
            ("a/ada get function @b", false),
            ("b/ada get function @a", false),
            ("b/ada get function", false),
        ],
    );
}

#[test]
fn a_star_is_every_subject_of_the_organization_and_every_action_and_resource() {
    let policies = one(vec![allow("*", "*", "*")]);
    table(
        &policies,
        &[
            ("a/ada delete iam", true),
            ("a/anybody create secret/x", true),
            ("b/ada get function @a", false),
            ("b/ada get function", false),
        ],
    );
}

#[test]
fn a_global_policy_holds_everywhere_for_the_subjects_of_its_organization() {
    let policies = World::new().global("a", "wide", vec![allow("ada", "*", "function")]).build();
    table(
        &policies,
        &[
            ("a/ada get function", true),
            ("a/ada get function @b", true),
            ("b/ada get function", false),
            ("b/ada get function @a", false),
        ],
    );
    let everybody = World::new().global("a", "wide", vec![allow("*", "*", "*")]).build();
    table(&everybody, &[("a/ada delete iam @b", true), ("b/eve get function @a", false)]);
}

#[test]
fn nothing_is_allowed_in_an_organization_that_is_not_there() {
    let policies = World::new().global("a", "wide", vec![allow("*", "*", "*")]).build();
    table(&policies, &[("a/ada get function @gone", false), ("a/ada get function @b", true)]);
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let policies = World::new()
        .policy("a", "first", vec![deny("ada", "delete", "function"), allow("*", "*", "*")])
        .global("a", "second", vec![deny("bob", "*", "secret")])
        .build();
    table(
        &policies,
        &[
            ("a/ada get function", true),
            ("a/ada delete function", false),
            ("a/ada delete function/shop", false),
            ("a/bob delete function", true),
            ("a/bob get secret", false),
        ],
    );
    // A denial of one organization does not bind what another says of its own subjects.
    let policies = World::new()
        .global("b", "wide", vec![allow("bob", "*", "*")])
        .policy("a", "no", vec![deny("*", "*", "*")])
        .build();
    table(&policies, &[("b/bob get function @a", true), ("b/bob get function", true)]);
}

#[test]
fn groups_are_those_stored_and_those_the_identity_provider_says() {
    let policies = World::new()
        .policy("a", "p", vec![allow("group:ops", "get", "engine"), deny("group:bad", "*", "*")])
        .group("a", "ops", "ada,bob")
        .group("a", "bad", "bob")
        .group("b", "ops", "eve")
        .build();
    table(
        &policies,
        &[
            ("a/ada get engine", true),
            ("a/bob get engine", false),
            ("a/cleo get engine", false),
            ("b/eve get engine @a", false),
        ],
    );
    assert!(ask("a/cleo get engine").in_groups("x,ops").allowed(&policies));
    assert!(!ask("a/cleo get engine").in_groups("ops,bad").allowed(&policies));
    assert!(!ask("b/cleo get engine @a").in_groups("ops").allowed(&policies));
}

#[test]
fn a_subject_is_never_taken_for_a_group_or_for_everybody() {
    let policies = one(vec![allow("group:ops", "get", "engine"), deny("*", "get", "secret")]);
    table(&policies, &[("a/group:ops get engine", false), ("a/ops get engine", false)]);
    let policies = one(vec![allow("ada", "*", "*")]);
    assert!(!ask("a/* get engine").allowed(&policies));
    assert!(!ask("a/x get engine").in_groups("ada").allowed(&policies));
    // One whose home is not known is named by no rule.
    let policies = one(vec![allow("*", "*", "*")]);
    let mut question = ask("a/ada get engine");
    question.principal = Principal { home: None, name: "ada".to_owned(), groups: Vec::new() };
    assert!(!question.allowed(&policies));
    assert!(!policies.everywhere(&question.request()));
}

#[test]
fn odd_names_stay_names() {
    let odd = "o\"b\\\n*ü//x";
    let policies = one(vec![allow(odd, "get", "function"), allow("ada", "get", "runs/\"q\\*")]);
    let mut question = ask("a/x get function");
    question.principal.name = odd.to_owned();
    assert!(question.allowed(&policies));
    assert!(policies.broken().is_empty(), "{:?}", policies.broken());
    assert!(ask("a/ada get runs/\"q\\more").allowed(&policies));
    assert!(!ask("a/ada get runs/q").allowed(&policies));
}

#[test]
fn a_rule_for_everywhere_must_be_global_and_unlimited() {
    let everywhere = |policies: &Policies, text: &str| policies.everywhere(&ask(text).request());
    let policies = World::new()
        .global("a", "wide", vec![allow("ada", "create", "engine"), allow("bob", "*", "engine/e*")])
        .global("a", "inside", vec![within(allow("cleo", "*", "engine"), "shop")])
        .global("a", "tags", vec![when(allow("dan", "*", "engine"), tagged(&[("k", "v")]))])
        .policy("a", "local", vec![allow("eve", "*", "*")])
        .build();
    for (text, expected) in [
        ("a/ada create engine", true),
        ("a/ada create engine @b", true),
        ("a/ada delete engine", false),
        ("a/bob create engine", false),
        ("a/bob create engine/e1", false),
        ("a/cleo create engine", false),
        ("a/dan create engine", false),
        ("a/eve create engine", false),
        ("b/ada create engine", false),
    ] {
        assert_eq!(everywhere(&policies, text), expected, "{text}");
    }
    let policies = World::new()
        .global("a", "wide", vec![allow("ada", "*", "*")])
        .policy("a", "no", vec![deny("ada", "delete", "engine/e1")])
        .build();
    assert!(everywhere(&policies, "a/ada create engine @b"));
    assert!(!everywhere(&policies, "a/ada delete engine @b"), "not everywhere: not at home");
}

#[test]
fn an_organization_is_seen_by_those_whom_a_rule_there_allows_something() {
    let policies = World::new()
        .policy("a", "p", vec![allow("ada", "get", "function"), deny("bob", "*", "*")])
        .global("a", "wide", vec![allow("group:ops", "get", "runs")])
        .group("a", "ops", "cleo")
        .build();
    for (text, expected) in [
        ("a/ada get x", true),
        ("a/ada get x @b", false),
        ("a/bob get x", false),
        ("a/cleo get x @b", true),
        ("b/ada get x @a", false),
    ] {
        let question = ask(text);
        assert_eq!(policies.names(&question.principal, &question.org), expected, "{text}");
    }
}

#[test]
fn what_has_not_changed_is_not_compiled_again() {
    let world = World::new().policy("a", "p", vec![allow("ada", "get", "function")]);
    let first = world.build();
    let world = world.policy("a", "q", vec![deny("ada", "get", "function")]);
    let second = Policies::new(&world.0, Some(&first));
    let judge = |policies: &Policies, rule: usize| policies.rules[rule].judge.clone().unwrap();
    assert!(std::sync::Arc::ptr_eq(&judge(&first, 0), &judge(&second, 0)));
    table(&first, &[("a/ada get function", true)]);
    table(&second, &[("a/ada get function", false)]);
    let none = Policies::new(&Stored::default(), Some(&second));
    table(&none, &[("a/ada get function", false)]);
}

#[test]
fn the_largest_rule_there_can_be_is_taken_whole() {
    let many = |count: usize, entry: &dyn Fn(usize) -> String| (0..count).map(entry).collect();
    let condition = Condition {
        tags: (0..MAX_ADDRESSES).map(|n| (format!("k{n}"), format!("v{n}"))).collect(),
        source_addresses: many(MAX_ADDRESSES, &|n| format!("10.{n}.0.0/16")),
        ..Condition::default()
    };
    let tags: Vec<(&str, &str)> =
        condition.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let question = ask("a/user-255 get function/f-255-x").from("10.63.0.1");
    let application = [(APPLICATION_TAG, "app-255")];
    let question = question.tagged(&[&tags[..], &application[..]].concat());
    let own = Rule {
        subjects: many(MAX_RULES, &|n| format!("user-{n}")),
        actions: vec!["get".to_owned()],
        resources: many(MAX_RULES, &|n| format!("function/f-{n}-*")),
        applications: many(MAX_RULES, &|n| format!("app-{n}")),
        condition,
        ..Rule::default()
    };
    let roles: Vec<String> = many(MAX_ROLES, &|n| format!("role-{n}"));
    let by_roles = Rule { actions: vec![], resources: vec![], roles: roles.clone(), ..own.clone() };
    let resources: Vec<String> = many(MAX_RESOURCES, &|n| format!("function/f-{n}-*"));
    let spec = role_spec(&[("get", &resources.join(","))]);
    spec.check().unwrap();
    for rule in [own, by_roles] {
        rule.check("rules[0]").unwrap();
        let mut world = World::new().policy("a", "p", vec![rule]);
        for role in &roles {
            world = world.role("a", role, spec.clone());
        }
        let policies = world.build();
        assert_eq!(policies.broken(), []);
        assert!(question.allowed(&policies));
        assert!(!question.clone().from("10.64.0.1").allowed(&policies));
    }
}

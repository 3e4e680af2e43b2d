//! Explanations name the rule that decided, or what did not fit.

use dispatch_model::policy::{Condition, Hours};

use super::kit::*;
use crate::{Policies, Unfit};

fn explain(policies: &Policies, question: &Ask) -> String {
    policies.explain(&question.request()).to_string()
}

#[test]
fn the_rule_that_decided_is_named_with_its_role() {
    let policies = World::new()
        .policy(
            "a",
            "devs",
            vec![allow("bob", "get", "runs"), with_roles("ada", "invoker,developer")],
        )
        .policy("a", "freeze", vec![deny("*", "delete", "function/prod-*")])
        .global("a", "wide", vec![allow("root", "*", "*")])
        .build();
    let said = |text: &str| explain(&policies, &ask(text));
    assert_eq!(
        said("a/ada create function/shop"),
        "allowed by rule 1 of policy devs of organization a, through the role developer"
    );
    assert_eq!(
        said("a/ada delete function/prod-1"),
        "denied by rule 0 of policy freeze of organization a"
    );
    assert_eq!(
        said("a/root delete secret @b"),
        "allowed by rule 0 of global policy wide of organization a"
    );
    let explanation = policies.explain(&ask("a/ada create function/shop").request());
    assert!(explanation.cedar.unwrap().contains("principal == Subject::\"a/ada\""));
    assert!(explanation.near.is_empty());
}

#[test]
fn what_did_not_fit_is_named() {
    let hours = Hours { from_minute: 0, to_minute: 60, days: vec![], time_zone: "UTC".to_owned() };
    let condition = |condition| when(allow("ada", "get", "function"), condition);
    let cases = vec![
        (allow("ada", "create", "function"), vec![Unfit::Action]),
        (allow("ada", "get", "runs"), vec![Unfit::Resource]),
        (allow("ada", "create", "runs"), vec![Unfit::Action, Unfit::Resource]),
        (allow("ada", "get", "function/shop-*"), vec![Unfit::Name]),
        (allow("ada", "create", "function/shop-*"), vec![Unfit::Action, Unfit::Name]),
        (allow("bob", "get", "function"), vec![Unfit::Subject]),
        (within(allow("ada", "get", "function"), "shop"), vec![Unfit::Application]),
        (condition(tagged(&[("a", "b")])), vec![Unfit::Tags]),
        (
            condition(Condition { not_before_ms: Some(i64::MAX), ..Condition::default() }),
            vec![Unfit::NotYet],
        ),
        (
            condition(Condition { not_after_ms: Some(0), ..Condition::default() }),
            vec![Unfit::NoMore],
        ),
        (condition(Condition { hours: Some(hours), ..Condition::default() }), vec![Unfit::Hours]),
        (
            condition(Condition {
                source_addresses: vec!["10.0.0.0/8".to_owned()],
                ..Condition::default()
            }),
            vec![Unfit::Source],
        ),
    ];
    for (rule, expected) in cases {
        let policies = one(vec![rule.clone()]);
        let explanation = policies.explain(&ask("a/ada get function/x").request());
        assert!(!explanation.allowed && explanation.by.is_none());
        assert_eq!(explanation.near.len(), 1, "{rule:?}");
        assert_eq!(explanation.near[0].unfit, expected, "{rule:?}");
    }
    let policies = one(vec![allow("ada", "create", "function/shop-*")]);
    assert_eq!(
        explain(&policies, &ask("a/ada get function/x")),
        "denied: no rule allows it\n  \
         rule 0 of policy p of organization a: the action and the name do not fit"
    );
    assert_eq!(explain(&policies, &ask("b/ada get function/x")), "denied: no rule allows it");
}

#[test]
fn rules_of_the_subject_come_first_and_there_are_few() {
    let mut rules = vec![allow("bob", "get", "function"); 10];
    rules.push(allow("ada", "create", "function"));
    let near = one(rules).explain(&ask("a/ada get function/x").request()).near;
    assert_eq!(near.len(), 5);
    assert_eq!(near[0].unfit, [Unfit::Action]);
    let far = one(vec![within(allow("bob", "delete", "runs"), "shop")]);
    assert!(far.explain(&ask("a/ada get function/x").request()).near.is_empty());
}

//! What is stored and cannot be read never allows more, and denies all it might.

use dispatch_model::policy::{Condition, Hours, PolicySpec};

use super::kit::*;

fn unreadable() -> Vec<(&'static str, Condition)> {
    let zone = Hours { from_minute: 0, to_minute: 60, days: vec![], time_zone: "Mars/Base".into() };
    let minute = Hours { from_minute: 2_000, to_minute: 60, days: vec![], time_zone: "UTC".into() };
    let sources = vec!["10.0.0.0/8".to_owned(), "10.0.0.0/99".to_owned()];
    vec![
        ("zone", Condition { hours: Some(zone), ..Condition::default() }),
        ("minute", Condition { hours: Some(minute), ..Condition::default() }),
        ("range", Condition { source_addresses: sources, ..Condition::default() }),
        (
            "time",
            Condition { not_before_ms: Some(9), not_after_ms: Some(3), ..Condition::default() },
        ),
    ]
}

#[test]
fn a_condition_that_cannot_be_read_does_not_allow_and_always_denies() {
    for (what, condition) in unreadable() {
        let policies = one(vec![when(allow("ada", "*", "*"), condition.clone())]);
        assert!(!ask("a/ada get function/f").from("10.0.0.1").allowed(&policies), "{what}");
        assert_eq!(policies.broken().len(), 1, "{what}");
        let policies =
            one(vec![allow("*", "*", "*"), when(deny("ada", "get", "function"), condition)]);
        let text = policies.broken()[0].to_string();
        assert!(text.starts_with("policy p, rule 1 of organization a: "), "{text}");
        for address in ["10.0.0.1", "99.0.0.1"] {
            let question = ask("a/ada get function/f").from(address);
            assert!(!question.allowed(&policies), "{what}: denied from {address}");
        }
        table(&policies, &[("a/ada get runs", true), ("a/bob get function", true)]);
    }
}

#[test]
fn words_that_cannot_be_read_allow_nothing_and_deny_everything() {
    for (actions, resources) in
        [("fly", "function"), ("get", "fun*ction"), ("get", "function/"), ("", "")]
    {
        let policies = one(vec![allow("ada", actions, resources), allow("bob", "get", "runs")]);
        table(&policies, &[("a/ada get function/f", false), ("a/bob get runs", true)]);
        assert!(!policies.broken().is_empty());
        let policies = one(vec![allow("*", "*", "*"), deny("ada", actions, resources)]);
        table(&policies, &[("a/ada delete runs", false), ("a/bob delete runs", true)]);
    }
    // What can be read still holds.
    let policies = one(vec![allow("ada", "fly,get", "fun*ction,runs")]);
    table(&policies, &[("a/ada get runs", true), ("a/ada get function", false)]);
}

#[test]
fn an_unknown_role_allows_nothing_and_denies_everything() {
    let policies = one(vec![with_roles("ada", "nosuch,invoker"), with_roles("bob", "nosuch")]);
    table(
        &policies,
        &[("a/ada get runs", true), ("a/ada get function", false), ("a/bob get runs", false)],
    );
    assert_eq!(policies.broken().len(), 2);
    let mut denying = with_roles("ada", "invoker,nosuch");
    denying.effect = dispatch_model::policy::Effect::Deny;
    let policies = one(vec![allow("*", "*", "*"), denying]);
    table(&policies, &[("a/ada get engine", false), ("a/bob get engine", true)]);
}

#[test]
fn a_role_that_cannot_be_read_is_narrow_where_it_allows_and_wide_where_it_denies() {
    let world = |rules| {
        let spec = role_spec(&[("get", "function"), ("get,fly", "runs")]);
        World::new().policy("a", "p", rules).role("a", "odd", spec).build()
    };
    let policies = world(vec![with_roles("ada", "odd")]);
    table(&policies, &[("a/ada get runs", true), ("a/ada delete runs", false)]);
    assert_eq!(policies.broken()[0].place, "role odd");
    let mut denying = with_roles("ada", "odd");
    denying.effect = dispatch_model::policy::Effect::Deny;
    let policies = world(vec![allow("*", "*", "*"), denying]);
    table(&policies, &[("a/ada delete engine", false)]);
}

#[test]
fn a_zone_that_does_not_exist_is_refused_before_it_is_stored() {
    let (_, condition) = unreadable().remove(0);
    let spec = PolicySpec { rules: vec![when(allow("a", "*", "*"), condition)], global: false };
    spec.check().unwrap();
    let violation = crate::check(&spec).unwrap_err();
    assert_eq!(violation.field, "rules[0].condition.hours.timeZone");
    assert!(violation.rule.contains("Mars/Base"), "{}", violation.rule);
}

//! Nobody gives what they do not have.

use dispatch_model::group::GroupSpec;
use dispatch_model::policy::{Condition, Day, Hours, PolicySpec, Rule};

use super::kit::*;
use crate::{Beyond, Change, Policies, Principal};

fn author(text: &str) -> Principal {
    ask(&format!("{text} get x")).principal
}

fn spec(rules: Vec<Rule>, global: bool) -> PolicySpec {
    PolicySpec { rules, global }
}

fn give(policies: &Policies, by: &str, at: &str, spec: &PolicySpec) -> Result<(), Beyond> {
    let change = Change::Policy { before: None, after: Some(spec) };
    policies.may_grant(&author(by), &org(at), change)
}

/// What of these `ada` of `a`, who has the first rules, may give to bob in her organization.
#[track_caller]
fn gives(own: Vec<Rule>, rule: Rule, expected: bool) {
    let policies = one(own);
    let given = give(&policies, "a/ada", "a", &spec(vec![rule.clone()], false));
    assert_eq!(given.is_ok(), expected, "{rule:?}: {given:?}");
}

fn conditional(condition: Condition) -> Rule {
    when(allow("ada", "get", "function"), condition)
}

#[test]
fn actions_and_resources_must_be_held_as_widely() {
    let own =
        || vec![allow("ada", "get,create", "function,secret/db-*"), allow("*", "get", "runs")];
    for (actions, resources, expected) in [
        ("get", "function", true),
        ("get,create", "function,secret/db-*", true),
        ("get", "function/shop,secret/db-prod,secret/db-p*,runs", true),
        ("delete", "function", false),
        ("*", "function", false),
        ("get", "*", false),
        ("get", "secret", false),
        ("get", "secret/d*", false),
        ("get", "*/shop", false),
        ("create", "runs", false),
    ] {
        gives(own(), allow("bob", actions, resources), expected);
    }
    gives(vec![allow("ada", "*", "*")], with_roles("bob", "admin"), true);
    gives(vec![with_roles("ada", "developer")], with_roles("bob", "invoker"), true);
    gives(vec![with_roles("ada", "developer")], with_roles("bob", "operator"), false);
    gives(vec![with_roles("ada", "developer")], with_roles("bob", "nosuch"), false);
    gives(vec![allow("bob", "*", "*")], allow("bob", "get", "runs"), false);
    // A denial gives nothing.
    gives(vec![], deny("bob", "*", "*"), true);
}

#[test]
fn applications_must_be_held() {
    let own = || {
        let one = |application| within(allow("ada", "get", "function"), application);
        vec![one("shop"), one("bank"), allow("ada", "get", "runs")]
    };
    for (applications, resource, expected) in [
        ("shop", "function", true),
        ("shop,bank", "function", true),
        ("shop,other", "function", false),
        ("", "function", false),
        ("other", "runs", true),
    ] {
        gives(own(), within(allow("bob", "get", resource), applications), expected);
    }
}

#[test]
fn conditions_may_be_narrower_and_not_wider() {
    let hours = |from, to, days: &[Day], zone: &str| Condition {
        hours: Some(Hours {
            from_minute: from,
            to_minute: to,
            days: days.to_vec(),
            time_zone: zone.to_owned(),
        }),
        ..Condition::default()
    };
    let times =
        |from, to| Condition { not_before_ms: from, not_after_ms: to, ..Condition::default() };
    let sources = |texts: &[&str]| Condition {
        source_addresses: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..Condition::default()
    };
    let none = Condition::default;
    for (own, given, expected) in [
        (none(), tagged(&[("a", "b")]), true),
        (tagged(&[("a", "b")]), none(), false),
        (tagged(&[("a", "b")]), tagged(&[("a", "b"), ("c", "d")]), true),
        (tagged(&[("a", "b")]), tagged(&[("a", "c")]), false),
        (times(Some(5), Some(9)), times(Some(5), Some(9)), true),
        (times(Some(5), Some(9)), times(Some(4), Some(9)), false),
        (times(Some(5), Some(9)), times(Some(6), None), false),
        (times(None, Some(9)), times(Some(1), Some(8)), true),
        (hours(60, 600, &[], "UTC"), hours(90, 600, &[Day::Friday], "UTC"), true),
        (hours(60, 600, &[], "UTC"), hours(59, 600, &[], "UTC"), false),
        (hours(60, 600, &[Day::Friday], "UTC"), hours(60, 600, &[], "UTC"), false),
        (hours(60, 600, &[], "UTC"), hours(60, 600, &[], "Europe/Vienna"), false),
        (hours(60, 600, &[], "UTC"), none(), false),
        (hours(0, 1440, &[], "UTC"), hours(1380, 60, &[], "UTC"), true),
        (sources(&["10.0.0.0/8"]), sources(&["10.1.0.0/16", "10.2.0.1"]), true),
        (sources(&["10.0.0.0/8"]), sources(&["10.1.0.0/16", "11.0.0.1"]), false),
        (sources(&["10.0.0.0/8"]), sources(&["0.0.0.0/0"]), false),
        (sources(&["10.0.0.0/8"]), none(), false),
        // What cannot be read today may be tomorrow.
        (none(), sources(&["nonsense"]), true),
        (sources(&["10.0.0.0/8"]), sources(&["nonsense"]), false),
    ] {
        let text = format!("{own:?} gives {given:?}");
        let policies = one(vec![conditional(own)]);
        let rule = when(allow("bob", "get", "function"), given);
        let answer = give(&policies, "a/ada", "a", &spec(vec![rule], false));
        assert_eq!(answer.is_ok(), expected, "{text}: {answer:?}");
    }
}

#[test]
fn what_holds_everywhere_must_be_held_everywhere() {
    let everything = || vec![allow("bob", "*", "*")];
    let policies = World::new()
        .policy("a", "local", vec![allow("ada", "*", "*")])
        .global("a", "wide", vec![allow("root", "*", "*")])
        .build();
    for (by, at, global, expected) in [
        ("a/ada", "a", false, true),
        ("a/ada", "a", true, false),
        ("a/ada", "b", false, false),
        ("a/root", "a", true, true),
        ("a/root", "b", false, true),
        ("a/root", "b", true, true),
        ("b/ada", "a", false, false),
    ] {
        let given = give(&policies, by, at, &spec(everything(), global));
        assert_eq!(given.is_ok(), expected, "{by} at {at}, {global}");
    }
}

#[test]
fn what_is_denied_cannot_be_given() {
    let own = |denial: Rule| vec![allow("*", "*", "*"), denial];
    let secrets = || allow("bob", "get", "secret");
    gives(own(deny("ada", "get", "secret")), secrets(), false);
    gives(own(deny("ada", "get", "secret/prod-*")), secrets(), false);
    gives(own(deny("ada", "get", "secret/prod-*")), allow("bob", "get", "secret/test-*"), true);
    gives(own(deny("ada", "get", "secret/prod-*")), allow("bob", "get", "secret/p*"), false);
    gives(own(deny("ada", "get", "runs")), secrets(), true);
    gives(own(deny("bob", "get", "secret")), secrets(), true);
    // It keeps bob from them, too.
    gives(own(deny("*", "get", "secret")), secrets(), true);
    gives(own(deny("ada,bob", "get", "secret")), secrets(), true);
    gives(own(within(deny("ada", "get", "secret"), "x")), within(secrets(), "y"), true);
    gives(own(within(deny("ada", "get", "secret"), "x")), secrets(), false);
    let tag = |value| tagged(&[("env", value)]);
    let denial = || when(deny("ada", "get", "secret"), tag("prod"));
    gives(own(denial()), when(secrets(), tag("test")), true);
    gives(own(denial()), when(secrets(), tag("prod")), false);
    // Another organization's subjects are not kept from it by a denial of this one.
    let policies = World::new()
        .global("a", "wide", vec![allow("*", "*", "*"), deny("*", "get", "secret")])
        .build();
    let given = give(&policies, "a/ada", "b", &spec(vec![secrets()], false));
    let beyond = given.unwrap_err();
    assert_eq!((beyond.actions.as_str(), beyond.resource.as_str()), ("get", "secret"));
    assert_eq!(
        beyond.to_string(),
        "only what one may do oneself can be given: get on secret in organization b is denied, at \
         least in part, by rule 1 of global policy wide of organization a"
    );
}

#[test]
fn what_is_denied_at_home_cannot_be_given_everywhere() {
    let policies = World::new()
        .global("a", "wide", vec![allow("root", "*", "*")])
        .policy("a", "no", vec![deny("root", "get", "secret")])
        .build();
    let rules = || vec![allow("eve", "*", "*")];
    assert!(give(&policies, "a/root", "b", &spec(rules(), false)).is_ok());
    let everywhere = give(&policies, "a/root", "b", &spec(rules(), true));
    assert!(everywhere.is_err(), "eve of b could read secrets of a, which root may not");
}

#[test]
fn a_change_gives_only_what_is_new_in_it() {
    let policies = one(vec![allow("ada", "get", "function"), deny("ada", "*", "secret")]);
    let change = |before: &PolicySpec, after: Option<&PolicySpec>| {
        let change = Change::Policy { before: Some(before), after };
        policies.may_grant(&author("a/ada"), &org("a"), change)
    };
    let wide = || allow("root", "*", "*");
    let before = spec(vec![wide(), deny("bob", "get", "runs")], false);
    let more =
        spec(vec![allow("bob", "get", "function"), wide(), deny("bob", "get", "runs")], false);
    assert_eq!(change(&before, Some(&more)), Ok(()));
    assert_eq!(change(&more, Some(&before)), Ok(()), "taking away gives nothing");
    assert!(change(&before, Some(&spec(vec![allow("root,ada", "*", "*")], false))).is_err());
    assert!(change(&before, Some(&spec(before.rules.clone(), true))).is_err());
    assert!(change(&before, Some(&spec(vec![wide()], false))).is_err(), "a denial ends");
    assert!(change(&before, None).is_err(), "a denial ends");
    assert_eq!(change(&spec(vec![wide()], false), None), Ok(()));
    assert_eq!(change(&spec(vec![deny("bob", "get", "function")], false), None), Ok(()));
}

#[test]
fn nobody_ends_a_denial_of_their_own() {
    for subjects in ["ada", "*", "ada,bob", "group:all"] {
        let denial = deny(subjects, "get", "secret");
        let policies = World::new()
            .policy("a", "p", vec![allow("ada,root", "*", "*"), denial.clone()])
            .group("a", "all", "ada,bob")
            .build();
        let before = spec(vec![denial], false);
        let change = Change::Policy { before: Some(&before), after: None };
        let denied = policies.may_grant(&author("a/ada"), &org("a"), change);
        assert!(denied.unwrap_err().denied.is_some(), "{subjects}");
        let by_another = policies.may_grant(&author("a/root"), &org("a"), change);
        assert_eq!(by_another.is_ok(), subjects != "*");
    }
}

#[test]
fn a_role_gives_to_whoever_has_it() {
    let policies = World::new()
        .policy("a", "p", vec![allow("ada", "get", "function"), with_roles("bob", "packer")])
        .global("a", "q", vec![with_roles("cleo", "everywhere")])
        .policy("b", "p", vec![with_roles("*", "unused")])
        .build();
    let change = |name: &str, before, after| {
        let role = Change::Role { name, before, after };
        policies.may_grant(&author("a/ada"), &org("a"), role)
    };
    let (get, more) = (role_spec(&[("get", "function")]), role_spec(&[("get", "function,image")]));
    assert_eq!(change("packer", None, Some(&get)), Ok(()));
    assert!(change("packer", None, Some(&more)).is_err());
    assert!(change("packer", Some(&get), Some(&more)).is_err());
    assert_eq!(change("packer", Some(&more), Some(&get)), Ok(()));
    assert_eq!(change("packer", Some(&more), None), Ok(()));
    assert!(change("everywhere", None, Some(&get)).is_err(), "held in one organization only");
    assert_eq!(change("unused", None, Some(&more)), Ok(()), "b's rules have b's roles");
}

#[test]
fn a_role_that_denies_gives_when_it_becomes_narrower() {
    let mut denying = with_roles("bob", "frozen");
    denying.effect = dispatch_model::policy::Effect::Deny;
    let policies = one(vec![allow("ada", "get", "function"), denying]);
    let change = |before, after| {
        let role = Change::Role { name: "frozen", before, after };
        policies.may_grant(&author("a/ada"), &org("a"), role)
    };
    let (get, more) = (role_spec(&[("get", "function")]), role_spec(&[("get", "runs")]));
    assert_eq!(change(Some(&get), Some(&more)), Ok(()));
    assert!(change(Some(&more), Some(&get)).is_err());
    assert_eq!(change(Some(&more), None), Ok(()), "without the role everything is denied");
    assert!(change(None, Some(&more)).is_err());
}

#[test]
fn a_group_gives_to_whoever_joins_it_and_frees_whoever_leaves() {
    let policies = one(vec![
        allow("ada", "get", "function"),
        allow("group:readers", "get", "function"),
        allow("group:admins", "*", "*"),
        deny("group:frozen", "get", "function"),
        deny("group:jailed", "*", "*"),
    ]);
    let group = |members: &str| GroupSpec { members: list(members) };
    let change = |name: &str, before: &str, after: &str| {
        let (before, after) = (group(before), group(after));
        let change = Change::Group { name, before: Some(&before), after: Some(&after) };
        policies.may_grant(&author("a/ada"), &org("a"), change).is_ok()
    };
    assert!(change("readers", "", "bob,ada"));
    assert!(!change("admins", "root", "root,ada"));
    assert!(change("admins", "root,bob", "root"));
    assert!(change("frozen", "bob", "") && change("frozen", "", "bob"));
    assert!(!change("jailed", "bob", ""));
    assert!(change("unheard-of", "", "ada"));
}

#[test]
fn who_gives_an_account_another_key_must_have_its_rights() {
    let policies = World::new()
        .policy(
            "a",
            "p",
            vec![allow("ada", "get", "function"), allow("group:ops", "get", "engine")],
        )
        .policy("a", "q", vec![allow("*", "get", "runs"), allow("root", "*", "*")])
        .group("a", "ops", "olga")
        .build();
    let change = |by: &str, name: &str| {
        policies.may_grant(&author(by), &org("a"), Change::Account { name }).is_ok()
    };
    assert!(change("a/ada", "newcomer"));
    assert!(change("a/ada", "ada"));
    assert!(!change("a/ada", "root"));
    assert!(!change("a/ada", "olga"));
    assert!(change("a/root", "olga"));
    assert!(!change("b/eve", "newcomer"), "eve may not get runs in a");
}

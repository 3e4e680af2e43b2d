//! Single things, beginnings of names, applications, tags, and what is not known.

use dispatch_model::application::APPLICATION_TAG;

use super::kit::*;
use crate::{Object, Policies, Reach};

const SHOP: (&str, &str) = (APPLICATION_TAG, "shop");

#[test]
fn a_rule_may_name_one_thing_or_the_beginning_of_names() {
    let resources = "function/shop,secret/db-*,*/mine,runs/*";
    let policies = one(vec![allow("ada", "get", resources)]);
    table(
        &policies,
        &[
            ("a/ada get function/shop", true),
            ("a/ada get function/shop-2", false),
            ("a/ada get function/Shop", false),
            ("a/ada get secret/db-", true),
            ("a/ada get secret/db-prod", true),
            ("a/ada get secret/db", false),
            ("a/ada get image/mine", true),
            ("a/ada get image/other", false),
            ("a/ada get runs/any", true),
            ("a/ada get runs", true),
            // Not for the kind as a whole.
            ("a/ada get function", false),
            ("a/ada get secret", false),
        ],
    );
}

#[test]
fn a_denial_of_one_thing_is_not_evaded_by_not_saying_which() {
    let policies = one(vec![allow("ada", "*", "*"), deny("ada", "delete", "function/prod-*")]);
    table(
        &policies,
        &[
            ("a/ada delete function/test", true),
            ("a/ada delete function/prod-1", false),
            ("a/ada delete function", false),
            ("a/ada get function", true),
            ("a/ada delete runs", true),
        ],
    );
}

#[test]
fn a_thing_may_be_made_where_its_name_and_application_fit() {
    let policies = one(vec![
        allow("ada", "create", "function/ada-*"),
        within(allow("bob", "create", "function"), "shop"),
    ]);
    table(
        &policies,
        &[("a/ada create function/ada-1", true), ("a/ada create function/bobs", false)],
    );
    assert!(ask("a/bob create function/x").tagged(&[SHOP]).allowed(&policies));
    assert!(!ask("a/bob create function/x").tagged(&[(APPLICATION_TAG, "b")]).allowed(&policies));
    assert!(!ask("a/bob create function/x").allowed(&policies));
}

#[test]
fn a_scope_of_applications_or_tags_needs_them_known_to_allow_and_not_to_deny() {
    let policies = one(vec![
        within(allow("ada", "get", "function"), "shop,bank"),
        when(allow("bob", "get", "function"), tagged(&[("env", "test"), ("team", "x")])),
        allow("cleo,dan", "get", "function"),
        within(deny("cleo", "get", "function"), "shop"),
        when(deny("dan", "get", "function"), tagged(&[("env", "prod")])),
    ]);
    let may = |who: &str, pairs: &[(&str, &str)]| {
        ask(&format!("a/{who} get function/f")).tagged(pairs).allowed(&policies)
    };
    assert!(may("ada", &[SHOP]) && may("ada", &[(APPLICATION_TAG, "bank")]));
    assert!(!may("ada", &[]) && !may("ada", &[(APPLICATION_TAG, "shops")]));
    assert!(may("bob", &[("env", "test"), ("team", "x"), ("more", "y")]));
    assert!(!may("bob", &[("env", "test")]) && !may("bob", &[("env", "test"), ("team", "y")]));
    assert!(may("cleo", &[]) && !may("cleo", &[SHOP]));
    assert!(may("dan", &[("env", "test")]) && !may("dan", &[("env", "prod")]));
    for who in ["ada", "bob", "cleo", "dan"] {
        let unread = ask(&format!("a/{who} get function/f")).unread();
        assert!(!unread.allowed(&policies), "{who}: the tags have not been read");
        assert!(!ask(&format!("a/{who} get function")).allowed(&policies), "{who}: any function");
    }
}

/// As one letter: all, none, or some.
fn reach(policies: &Policies, text: &str) -> char {
    match policies.reach(&ask(text).request()) {
        Reach::All => 'a',
        Reach::None => 'n',
        Reach::Some(_) => 's',
    }
}

#[test]
fn lists_show_what_may_be_read() {
    let policies = one(vec![
        allow("ada,eve", "get", "function"),
        allow("bob", "get", "function/shop-*"),
        within(allow("bob", "get", "function"), "bank"),
        allow("cleo", "*", "*"),
        deny("cleo", "get", "function/secret"),
        deny("eve", "get", "function"),
    ]);
    for (text, expected) in [
        ("a/ada get function", 'a'),
        ("a/ada delete function", 'n'),
        ("a/bob get function", 's'),
        ("a/bob get secret", 'n'),
        ("a/cleo get function", 's'),
        ("a/cleo get runs", 'a'),
        ("a/eve get function", 'n'),
        ("a/dan get function", 'n'),
        ("b/ada get function @a", 'n'),
        ("a/ada get function @gone", 'n'),
    ] {
        assert_eq!(reach(&policies, text), expected, "{text}");
    }
    let bank = tags(&[(APPLICATION_TAG, "bank")]);
    let none = tags(&[]);
    let shown = |who: &str, name: &str, tags| {
        let question = ask(&format!("a/{who} get function"));
        policies.reach(&question.request()).admits(Object { name, tags: Some(tags) })
    };
    assert!(shown("bob", "shop-1", &none) && shown("bob", "x", &bank));
    assert!(!shown("bob", "x", &none));
    assert!(shown("cleo", "x", &none) && !shown("cleo", "secret", &none));
}

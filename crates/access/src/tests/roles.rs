//! Built-in roles and those organizations make.

use dispatch_model::role::BUILT_IN;

use super::kit::*;
use crate::{Action, Policies, RESOURCES, built_in};

/// What each may do: the letters of get, create, update, delete.
const MATRIX: [(&str, [&str; 13]); 5] = [
    // baseimage image imagepolicy engine function runs secret api application event
    // serviceclass serviceinstance iam
    ("admin", ["gcud"; 13]),
    ("operator", ["gcud", "gcud", "gcud", "gcud", "g", "gd", "", "g", "g", "g", "g", "g", ""]),
    (
        "developer",
        ["g", "gcud", "g", "g", "gcud", "gcud", "gcud", "gcud", "gcud", "gcud", "g", "gcud", ""],
    ),
    ("invoker", ["", "", "", "", "", "gc", "", "", "", "", "", "", ""]),
    ("viewer", ["g", "g", "g", "g", "g", "g", "", "g", "g", "g", "g", "g", ""]),
];

#[test]
fn each_built_in_role_may_do_what_is_written_of_it() {
    assert_eq!(MATRIX.map(|(role, _)| role), BUILT_IN);
    for (role, row) in MATRIX {
        let policies = one(vec![with_roles("ada", role)]);
        assert!(policies.broken().is_empty());
        for (resource, letters) in RESOURCES.into_iter().zip(row) {
            for action in Action::ALL {
                let text = format!("a/ada {} {resource}", action.as_str());
                let expected = letters.contains(&action.as_str()[..1]);
                assert_eq!(ask(&text).allowed(&policies), expected, "{role}: {text}");
            }
        }
        built_in(role).unwrap().check().unwrap();
    }
    assert!(built_in("packer").is_none());
}

#[test]
fn a_role_is_of_its_organization_and_several_add_up() {
    let world = |rules| {
        World::new()
            .policy("a", "p", rules)
            .policy("b", "p", vec![with_roles("*", "packer")])
            .role("a", "packer", role_spec(&[("get,update", "image"), ("get", "secret/pull-*")]))
            .build()
    };
    let policies = world(vec![with_roles("ada", "packer,invoker")]);
    table(
        &policies,
        &[
            ("a/ada update image", true),
            ("a/ada get secret/pull-1", true),
            ("a/ada update secret/pull-1", false),
            ("a/ada create runs", true),
            ("a/ada create image", false),
            ("b/bob get image", false),
        ],
    );
    assert_eq!(policies.broken().len(), 1, "b has no such role");
    let mut denying = with_roles("ada", "packer");
    denying.effect = dispatch_model::policy::Effect::Deny;
    let policies = world(vec![allow("ada", "*", "*"), denying]);
    table(&policies, &[("a/ada update image", false), ("a/ada delete image", true)]);
}

#[test]
fn a_rule_that_holds_everywhere_has_the_roles_of_its_own_organization() {
    let policies: Policies = World::new()
        .global("a", "p", vec![with_roles("ada", "packer")])
        .role("a", "packer", role_spec(&[("get", "image")]))
        .role("b", "packer", role_spec(&[("*", "*")]))
        .build();
    table(&policies, &[("a/ada get image @b", true), ("a/ada delete image @b", false)]);
}

#[test]
fn nobody_makes_a_built_in_role_another() {
    let policies = World::new()
        .policy("a", "p", vec![with_roles("ada", "viewer")])
        .role("a", "viewer", role_spec(&[("*", "*")]))
        .build();
    table(&policies, &[("a/ada get function", true), ("a/ada delete function", false)]);
    assert_eq!(policies.broken()[0].place, "role viewer");
}

//! Rules that name many, of whom Cedar finds one by its number.

use super::kit::*;

fn names(prefix: &str) -> String {
    (0..100).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>().join(",")
}

#[test]
fn each_of_many_subjects_has_what_the_rule_gives_and_nobody_else() {
    let rules = || vec![allow(&names("n-"), "get", "function")];
    let local = one(rules());
    let global = World::new().global("a", "p", rules()).build();
    for number in 0..100 {
        let (own, other) = (format!("a/n-{number} get function"), format!("b/n-{number} get runs"));
        let away = format!("{own} @b");
        table(&local, &[(&own, true), (&away, false), (&other, false)]);
        table(&global, &[(&own, true), (&away, true), (&other, false)]);
    }
    table(&local, &[("a/n-100 get function", false), ("a/n- get function", false)]);
    let denying = one(vec![allow("*", "get", "*"), deny(&names("n-"), "get", "function")]);
    for number in 0..100 {
        table(&denying, &[(&format!("a/n-{number} get function"), false)]);
    }
    table(&denying, &[("a/n-100 get function", true)]);
}

#[test]
fn each_of_many_things_is_what_the_rule_is_about_and_nothing_else() {
    let things = format!("{},function/g-*,runs", names("function/f-"));
    let allowing = one(vec![allow("ada", "get", &things)]);
    let denying = one(vec![allow("*", "*", "*"), deny("ada", "get", &things)]);
    let both = |text: &str, about: bool| {
        table(&allowing, &[(text, about)]);
        table(&denying, &[(text, !about)]);
    };
    for number in 0..100 {
        both(&format!("a/ada get function/f-{number}"), true);
        both(&format!("a/ada get secret/f-{number}"), false);
    }
    both("a/ada get function/f-100", false);
    both("a/ada get function/g-1", true);
    both("a/ada get runs/f-100", true);
    // Of a kind as a whole, a part is not allowed, and denied.
    table(&allowing, &[("a/ada get function", false)]);
    table(&denying, &[("a/ada get function", false)]);
}

#[test]
fn two_names_may_have_the_same_number() {
    assert_eq!(crate::cedar::number("costarring"), crate::cedar::number("liquid"));
    let rules = vec![allow("a1,a2,a3,a4,costarring,liquid", "get", "function")];
    let questions = [("a/costarring get function", true), ("a/liquid get function", true)];
    table(&one(rules), &questions);
    let rules = vec![allow("a1,a2,a3,a4,costarring", "get", "function")];
    let questions = [("a/costarring get function", true), ("a/liquid get function", false)];
    table(&one(rules), &questions);
}

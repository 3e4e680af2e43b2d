//! A rule in Cedar's language. What is not known of a thing counts for a denial and against a
//! permission: each test of it says so in its `else`.

use std::collections::BTreeMap;

use super::number::tree;
use crate::action::{Action, Actions};
use crate::condition::Condition;
use crate::hours::Hours;
use crate::network::Network;
use crate::pattern::{Names, Pattern};
use crate::role::Permission;
use crate::rule::{Rule, Subjects, Which};

/// One policy of Cedar.
pub(crate) fn text(rule: &Rule) -> String {
    let (which, unknown) = (&rule.which, rule.denies());
    let effect = if rule.denies() { "forbid" } else { "permit" };
    let who = if which.global { "principal" } else { "principal is Subject" };
    let mut clauses = vec![
        subjects(which, &rule.subjects),
        any(rule.permissions().map(|p| permission(p, unknown)).collect()),
        applications(&rule.applications, unknown),
    ];
    clauses.extend(joined(condition(&rule.condition, unknown), "&&"));
    let when: String = clauses
        .into_iter()
        .filter(|clause| clause != "true")
        .map(|clause| format!("\nwhen {{ {clause} }}"))
        .collect();
    let policy = quoted(&format!("{}/{}", which.org, which.policy));
    let hours = rule.condition.hours.as_ref();
    let zone = hours.map(|hours| format!("@zone({})\n", quoted(hours.zone.name())));
    format!(
        "@policy({policy})\n@rule(\"{}\")\n{}{effect} ({who}, action, resource){when};",
        which.rule,
        zone.unwrap_or_default()
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

pub(crate) fn any(tests: Vec<String>) -> String {
    if tests.iter().any(|test| test == "true") {
        return "true".to_owned();
    }
    joined(tests, "||").unwrap_or_else(|| "false".to_owned())
}

/// `a || b || …`, as a tree that is not deep: Cedar goes down it on the stack.
fn joined(mut tests: Vec<String>, operator: &str) -> Option<String> {
    if tests.len() < 2 {
        return tests.pop();
    }
    let second = tests.split_off(tests.len() / 2);
    let (first, second) = (joined(tests, operator)?, joined(second, operator)?);
    Some(format!("({first} {operator} {second})"))
}

fn subjects(which: &Which, subjects: &Subjects) -> String {
    let id = |name: &str| quoted(&format!("{}/{name}", which.org));
    if subjects.anybody {
        return format!("context.home == {}", quoted(which.org.as_str()));
    }
    let one = |name: &str| match which.global {
        false => format!("principal == Subject::{}", id(name)),
        true => format!("(principal == Subject::{0} || principal == Guest::{0})", id(name)),
    };
    let names = subjects.names.iter().map(|name| &**name);
    let names = (!subjects.names.is_empty()).then(|| tree("context.subjectNumber", names, &one));
    let mut groups: Vec<String> =
        subjects.groups.iter().map(|name| format!("Group::{}", id(name))).collect();
    // So that the same rule has the same text.
    groups.sort_unstable();
    let groups = match groups.as_slice() {
        [] => None,
        [group] => Some(format!("context.groups.contains({group})")),
        groups => Some(format!("context.groups.containsAny([{}])", groups.join(", "))),
    };
    any(names.into_iter().chain(groups).collect())
}

fn permission(permission: &Permission, unknown: bool) -> String {
    // The kind is compared once for all names of it.
    let mut kinds: BTreeMap<Option<&str>, Vec<&Names>> = BTreeMap::new();
    for Pattern { word, names } in &permission.patterns {
        kinds.entry(word.as_deref()).or_default().push(names);
    }
    let kinds = kinds.into_iter().map(|(word, names)| {
        let word = word.map(|word| format!("resource == Kind::{}", quoted(word)));
        both(word.unwrap_or_else(|| "true".to_owned()), things(&names, unknown))
    });
    both(actions(permission.actions), any(kinds.collect()))
}

fn both(first: String, second: String) -> String {
    match (first.as_str(), second.as_str()) {
        ("true", _) => second,
        (_, "true") => first,
        _ => format!("({first} && {second})"),
    }
}

fn actions(actions: Actions) -> String {
    if actions.is_any() {
        return "true".to_owned();
    }
    let has = Action::ALL.into_iter().filter(|action| actions.has(*action));
    any(has.map(|action| format!("action == Action::\"{}\"", action.as_str())).collect())
}

fn things(names: &[&Names], unknown: bool) -> String {
    let (mut ones, mut tests) = (Vec::new(), Vec::new());
    for names in names {
        match names {
            Names::All => return "true".to_owned(),
            Names::One(name) => ones.push(&**name),
            Names::Beginning(start) => {
                tests.push(format!("context.name like \"{}*\"", start.escape_debug()));
            }
        }
    }
    if !ones.is_empty() {
        let one = |name: &str| format!("context.name == {}", quoted(name));
        tests.push(tree("context.nameNumber", ones.into_iter(), &one));
    }
    format!("(if context has name then {} else {unknown})", any(tests))
}

fn applications(names: &[Box<str>], unknown: bool) -> String {
    if names.is_empty() {
        return "true".to_owned();
    }
    let tests = names.iter().map(|name| format!("context.application == {}", quoted(name)));
    let own = any(tests.collect());
    format!("if context.known then (context has application && {own}) else {unknown}")
}

fn condition(condition: &Condition, unknown: bool) -> Vec<String> {
    let mut tests = Vec::new();
    for (key, value) in &condition.tags {
        let test = format!("context.tags.contains({})", quoted(&tag(key, value)));
        tests.push(format!("(if context has tags then {test} else {unknown})"));
    }
    tests.extend(condition.not_before_ms.map(|from| format!("context.now >= {from}")));
    tests.extend(condition.not_after_ms.map(|to| format!("context.now < {to}")));
    tests.extend(condition.hours.as_ref().map(hours));
    if let Some(networks) = &condition.sources {
        let within = |own: &Network| format!("context.source like \"{}*\"", own.beginning());
        let test = any(networks.iter().map(within).collect());
        tests.push(format!("(if context has source then {test} else {unknown})"));
    }
    tests
}

/// A tag as one word, `env=test`. No other tag has the same.
pub(crate) fn tag(key: &str, value: &str) -> String {
    let mut word = String::with_capacity(key.len() + 1 + value.len());
    for letter in key.chars() {
        if matches!(letter, '=' | '\\') {
            word.push('\\');
        }
        word.push(letter);
    }
    word + "=" + value
}

fn hours(hours: &Hours) -> String {
    let within =
        |(from, to): &(u16, u16)| format!("(context.minute >= {from} && context.minute < {to})");
    any(hours.spans.iter().map(within).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tags_are_the_same_word() {
        assert_eq!(tag("env", "test"), "env=test");
        let parts = ["", "a", "=", "\\", "a=", "=a", "a\\", "\\=", "a=a", "\\\\"];
        let pairs = parts.iter().flat_map(|key| parts.map(|value| (*key, value)));
        let words: std::collections::HashSet<String> =
            pairs.map(|(key, value)| tag(key, value)).collect();
        assert_eq!(words.len(), parts.len() * parts.len());
    }
}

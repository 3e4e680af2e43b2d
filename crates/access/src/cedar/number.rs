//! Numbers of names. Cedar compares names for being the same only, which among many takes one
//! comparison each; by their numbers it finds the few that can be it.

use super::text::any;

/// Most names that are compared without a look at their numbers.
const FEW: usize = 4;

/// FNV-1a. That two names have the same number costs a comparison more.
pub(crate) fn number(name: &str) -> u32 {
    let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, step)
}

/// Whether one of the names is the one whose number is the fact: comparisons of the number, and
/// where they end the test of each of a few names.
pub(crate) fn tree<'a>(
    fact: &str,
    names: impl Iterator<Item = &'a str>,
    test: &dyn Fn(&str) -> String,
) -> String {
    let mut names: Vec<(u32, &str)> = names.map(|name| (number(name), name)).collect();
    // Sorted also so that the same rule has the same text.
    names.sort_unstable();
    branch(fact, &names, test)
}

fn branch(fact: &str, names: &[(u32, &str)], test: &dyn Fn(&str) -> String) -> String {
    let (middle, _) = names.get(names.len() / 2).copied().unwrap_or_default();
    let (low, high) = names.split_at(names.partition_point(|(number, _)| *number < middle));
    if names.len() <= FEW || low.is_empty() {
        return any(names.iter().map(|(_, name)| test(name)).collect());
    }
    let (low, high) = (branch(fact, low, test), branch(fact, high, test));
    format!("(if {fact} < {middle} then {low} else {high})")
}

//! Numbers of names. Cedar compares names for being the same only, which among many takes one
//! comparison each; by their numbers it finds the few that can be it.

/// Most names that are compared without a look at their numbers.
const FEW: usize = 4;

pub(crate) fn is_many(names: usize) -> bool {
    names > FEW
}

/// FNV-1a. That two names have the same number costs a comparison more.
pub(crate) fn number(name: &str) -> u32 {
    let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, step)
}

/// The test of one of many names, by the number of the name that is asked about: a tree of
/// comparisons of the number, with `leaf` of a few names at each end.
pub(crate) fn tree<'a>(
    fact: &str,
    names: impl Iterator<Item = &'a str>,
    leaf: &dyn Fn(&[(u32, &str)]) -> String,
) -> String {
    let mut names: Vec<(u32, &str)> = names.map(|name| (number(name), name)).collect();
    // Sorted also so that the same rule has the same text.
    names.sort_unstable();
    branch(fact, &names, leaf)
}

fn branch(fact: &str, names: &[(u32, &str)], leaf: &dyn Fn(&[(u32, &str)]) -> String) -> String {
    let (middle, _) = names.get(names.len() / 2).copied().unwrap_or_default();
    let (low, high) = names.split_at(names.partition_point(|(number, _)| *number < middle));
    if !is_many(names.len()) || low.is_empty() {
        return leaf(names);
    }
    let (low, high) = (branch(fact, low, leaf), branch(fact, high, leaf));
    format!("(if {fact} < {middle} then {low} else {high})")
}

//! What is asked of somebody's claims: by the rules of identity providers, which say to which
//! organizations people belong, and by service accounts, which say whose tokens they trust.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Violation;

/// Most claims that are asked for at once.
pub const MAX_CLAIMS: usize = 16;
/// Most patterns of one claim.
pub const MAX_PATTERNS: usize = 64;
/// Longest name of a claim or pattern, in bytes.
pub const MAX_BYTES: usize = 320;

/// Patterns of values, by the name of the claim. All claims must fit; of one claim, one of its
/// values must fit one of the patterns. `*` in a pattern stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimPatterns(pub BTreeMap<String, Vec<String>>);

impl ClaimPatterns {
    /// # Errors
    /// The field that breaks a rule, beginning with `field`.
    pub fn check(&self, field: &str) -> Result<(), Violation> {
        let within = |field: String, what: &str, count: usize, most: usize| match count {
            0 => Err(Violation::new(field, format!("{what} is empty"))),
            count if count > most => Err(Violation::new(
                field,
                format!("{what} has {count}, at most {most} are allowed"),
            )),
            _ => Ok(()),
        };
        if self.0.len() > MAX_CLAIMS {
            within(field.to_owned(), "the list of claims", self.0.len(), MAX_CLAIMS)?;
        }
        for (claim, patterns) in &self.0 {
            within(field.to_owned(), "the name of a claim", claim.len(), MAX_BYTES)?;
            let field = format!("{field}.{claim}");
            within(field.clone(), "the list of patterns", patterns.len(), MAX_PATTERNS)?;
            for pattern in patterns {
                within(field.clone(), "a pattern", pattern.len(), MAX_BYTES)?;
            }
        }
        Ok(())
    }

    /// Whether they fit; `values` gives those of one claim.
    pub fn fit(&self, mut values: impl FnMut(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|(claim, patterns)| {
            values(claim).iter().any(|value| patterns.iter().any(|p| matches(p, value)))
        })
    }
}

/// Whether a text fits a pattern in which `*` stands for any text, also none. Takes time in
/// proportion to the length of both at most, multiplied.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        // The first place is the best one: what is left for the others is longest then.
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, fits) in [
            ("acme", "acme", true),
            ("acme", "acme2", false),
            ("*", "", true),
            ("acme-*", "acme-", true),
            ("acme-*", "acme", false),
            ("*@acme.example", "ada@acme.example", true),
            ("*@acme.example", "ada@acme.example.evil", false),
            ("repo:acme/*:ref:refs/heads/*", "repo:acme/shop:ref:refs/heads/main", true),
            ("repo:acme/*:ref:refs/heads/*", "repo:evil/shop:ref:refs/heads/main", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abb", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn all_claims_must_fit_and_one_value_of_each() {
        let of = |pairs: &[(&str, &[&str])]| {
            let own = |(k, v): &(&str, &[&str])| {
                ((*k).to_owned(), v.iter().map(|v| (*v).to_owned()).collect())
            };
            ClaimPatterns(pairs.iter().map(own).collect())
        };
        let values = |claim: &str| match claim {
            "groups" => vec!["staff".to_owned(), "acme-dev".to_owned()],
            "email" => vec!["ada@acme.example".to_owned()],
            _ => Vec::new(),
        };
        assert!(of(&[]).fit(values));
        assert!(of(&[("groups", &["x", "acme-*"]), ("email", &["*@acme.example"])]).fit(values));
        assert!(!of(&[("groups", &["acme-*"]), ("email", &["*@other.example"])]).fit(values));
        assert!(!of(&[("none", &["*"])]).fit(values), "a claim that is not there fits nothing");
    }

    #[test]
    fn what_is_too_much_is_named() {
        let many = |count: usize, pattern: &str| {
            ClaimPatterns(BTreeMap::from([("sub".to_owned(), vec![pattern.to_owned(); count])]))
        };
        assert!(many(MAX_PATTERNS, "x").check("trust[0].claims").is_ok());
        for wrong in [many(MAX_PATTERNS + 1, "x"), many(0, "x"), many(1, "")] {
            assert_eq!(wrong.check("trust[0].claims").unwrap_err().field, "trust[0].claims.sub");
        }
        assert!(many(1, &"x".repeat(MAX_BYTES + 1)).check("c").is_err());
        let claims = (0..=MAX_CLAIMS).map(|n| (n.to_string(), vec!["x".to_owned()])).collect();
        assert_eq!(ClaimPatterns(claims).check("c").unwrap_err().field, "c");
    }
}

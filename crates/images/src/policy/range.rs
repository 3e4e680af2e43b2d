//! Ranges of versions: `>= 2.0, < 2.17.1 || 3.0`.

use std::cmp::Ordering;

use crate::inventory::Ecosystem;
use crate::vulnerability::version::compare;

/// Alternatives, each of comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range<'a>(Vec<Vec<(Operator, &'a str)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    Greater,
}

/// The longer ones first: `<=` starts with `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("!=", Operator::NotEqual),
    ("==", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
];

impl<'a> Range<'a> {
    /// # Errors
    /// Names the part that is no comparison.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let comparison = |part: &'a str| {
            let part = part.trim();
            let found = OPERATORS.iter().find(|(sign, _)| part.starts_with(sign));
            let (operator, version) = match found {
                Some((sign, operator)) => (*operator, part[sign.len()..].trim()),
                None => (Operator::Equal, part),
            };
            let bad = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '=' | '|' | '*');
            if version.is_empty() || version.contains(bad) {
                return Err(format!("{part:?} is no comparison such as \"< 3.0.11\""));
            }
            Ok((operator, version))
        };
        let alternative = |text: &'a str| text.split(',').map(comparison).collect();
        text.split("||").map(alternative).collect::<Result<_, _>>().map(Self)
    }

    pub fn contains(&self, ecosystem: Ecosystem, version: &str) -> bool {
        let holds = |(operator, bound): &(Operator, &str)| {
            let order = compare(ecosystem, version, bound);
            match operator {
                Operator::Less => order == Ordering::Less,
                Operator::AtMost => order != Ordering::Greater,
                Operator::Equal => order == Ordering::Equal,
                Operator::NotEqual => order != Ordering::Equal,
                Operator::AtLeast => order != Ordering::Less,
                Operator::Greater => order == Ordering::Greater,
            }
        };
        self.0.iter().any(|all| all.iter().all(holds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_and_alternatives() {
        let range = Range::parse(">= 2.0, <2.17.1 || = 3.0||4").expect("a range");
        for (version, inside) in
            [("1.9", false), ("2.0", true), ("2.17.1", false), ("3", true), ("4.0", true)]
        {
            assert_eq!(range.contains(Ecosystem::Npm, version), inside, "{version}");
        }
        let range = Range::parse("< 1.0").expect("a range");
        assert!(range.contains(Ecosystem::Deb, "1.0~rc1"));
        for wrong in ["", "<", "< 1 2", ">= 1,", "1 || ", "1.*", "=> 1", "a<b"] {
            assert!(Range::parse(wrong).is_err(), "{wrong}");
        }
    }
}

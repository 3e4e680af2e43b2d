//! Ranges of versions: `>= 2.0, < 2.17.1 || 3.0`.

use std::cmp::Ordering;

/// Alternatives, each of comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange<'a>(Vec<Vec<Comparison<'a>>>);

/// What a version must be to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison<'a> {
    operator: Operator,
    bound: &'a str,
}

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

impl<'a> VersionRange<'a> {
    /// # Errors
    /// Names the part that is no comparison.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let comparison = |part: &'a str| {
            let part = part.trim();
            let found = OPERATORS.iter().find(|(sign, _)| part.starts_with(sign));
            let (operator, bound) = match found {
                Some((sign, operator)) => (*operator, part[sign.len()..].trim()),
                None => (Operator::Equal, part),
            };
            let bad = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '=' | '|' | '*');
            if bound.is_empty() || bound.contains(bad) {
                return Err(format!("{part:?} is no comparison such as \"< 3.0.11\""));
            }
            Ok(Comparison { operator, bound })
        };
        let alternative = |text: &'a str| text.split(',').map(comparison).collect();
        text.split("||").map(alternative).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a version lies in it; `order` says how the version is to a bound, since each
    /// ecosystem orders its versions its own way.
    pub fn contains(&self, order: impl Fn(&str) -> Ordering) -> bool {
        let holds = |comparison: &Comparison<'_>| {
            let order = order(comparison.bound);
            match comparison.operator {
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
        let range = VersionRange::parse(">= 20, <35 || = 40||50").expect("a range");
        for (version, inside) in [(19, false), (20, true), (35, false), (40, true), (50, true)] {
            let order = |bound: &str| version.cmp(&bound.parse::<i32>().expect("a number"));
            assert_eq!(range.contains(order), inside, "{version}");
        }
        for wrong in ["", "<", "< 1 2", ">= 1,", "1 || ", "1.*", "=> 1", "a<b"] {
            assert!(VersionRange::parse(wrong).is_err(), "{wrong}");
        }
    }
}

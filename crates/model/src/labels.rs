//! Labels: what an engine says of itself, and what a function asks for (`region: eu`).

use std::collections::BTreeMap;

use crate::Violation;

/// Names and values, as Kubernetes' labels: `region: eu`, `gpu: a100`.
pub type Labels = BTreeMap<String, String>;

/// Labels of one engine, and labels one rule may ask for.
pub const MAX_LABELS: usize = 16;
/// Bytes of a label's name.
pub const MAX_LABEL_NAME: usize = 63;
/// Bytes of a label's value.
pub const MAX_LABEL_VALUE: usize = 63;

/// Checks number, names and values; a violation names `FIELD.LABEL`.
///
/// # Errors
/// The first label that breaks a rule.
pub fn check_labels(field: &str, labels: &Labels) -> Result<(), Violation> {
    if labels.len() > MAX_LABELS {
        let rule = format!("has {} labels, at most {MAX_LABELS} are allowed", labels.len());
        return Err(Violation::new(field, rule));
    }
    for (name, value) in labels {
        if !well_formed(name, MAX_LABEL_NAME) || name.is_empty() {
            let rule = format!(
                "{name:?} is no name of a label: 1 to {MAX_LABEL_NAME} letters, digits, '-', '_', \
                 '.' and '/'"
            );
            return Err(Violation::new(field, rule));
        }
        if !well_formed(value, MAX_LABEL_VALUE) {
            let rule = format!(
                "{value:?} is no value of a label: at most {MAX_LABEL_VALUE} letters, digits, \
                 '-', '_', '.' and '/'"
            );
            return Err(Violation::new(format!("{field}.{name}"), rule));
        }
    }
    Ok(())
}

fn well_formed(text: &str, max: usize) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    text.len() <= max && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Labels {
        Labels::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_label_is_a_short_word_and_a_violation_says_which_is_not() {
        for (name, value) in [("region", "eu"), ("example.org/zone", "a_1"), ("gpu", "")] {
            assert_eq!(check_labels("labels", &one(name, value)), Ok(()), "{name}");
        }
        for name in ["", "a b", "ü", &"x".repeat(MAX_LABEL_NAME + 1)] {
            assert_eq!(check_labels("labels", &one(name, "v")).unwrap_err().field, "labels");
        }
        for value in ["a b", "eu,us", &"x".repeat(MAX_LABEL_VALUE + 1)] {
            let violation = check_labels("labels", &one("region", value)).unwrap_err();
            assert_eq!(violation.field, "labels.region");
        }
        let many = (0..=MAX_LABELS).map(|n| (format!("l{n}"), String::new())).collect();
        assert!(check_labels("labels", &many).unwrap_err().rule.contains("17 labels"));
    }
}

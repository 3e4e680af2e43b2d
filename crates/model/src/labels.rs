//! Labels: what an engine says of itself, and what a function asks for (`region: eu`).

use std::collections::BTreeMap;

use crate::Violation;

/// Names and values, as Kubernetes' labels: `region: eu`, `gpu: a100`.
pub type Labels = BTreeMap<String, String>;

/// Labels of one engine, and labels one rule may ask for.
pub const MAX_LABELS: usize = 64;
/// Of a name the prefix and what follows it, and of a value, in bytes.
pub const MAX_LABEL_PREFIX: usize = 253;
pub const MAX_LABEL_NAME: usize = 63;

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
        check_label(name, value)
            .map_err(|rule| Violation::new(format!("{field}.{}", start(name)), rule))?;
    }
    Ok(())
}

/// Whether a label is one as Kubernetes has them: `region`, `example.org/gpu`; so that drivers can
/// use it as it is.
///
/// # Errors
/// The rule that the key or the value breaks.
fn check_label(key: &str, value: &str) -> Result<(), String> {
    let (prefix, name) = match key.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| prefix.len() > MAX_LABEL_PREFIX || !is_domain(prefix)) {
        return Err(format!(
            "what stands before the slash must be a domain name of at most {MAX_LABEL_PREFIX} bytes"
        ));
    }
    if name.is_empty() || !is_word(name) {
        return Err(format!("the key must be 1 to {MAX_LABEL_NAME} {WORD}"));
    }
    match is_word(value) {
        true => Ok(()),
        false => Err(format!("{:?} must be at most {MAX_LABEL_NAME} {WORD}", start(value))),
    }
}

const WORD: &str = "letters, digits, '-', '_' and '.', with a letter or digit at both ends";

fn is_word(text: &str) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    text.len() <= MAX_LABEL_NAME
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && ends.into_iter().flatten().all(|c| c.is_ascii_alphanumeric())
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    })
}

/// As much of a text as an error repeats.
pub(crate) fn start(text: &str) -> String {
    text.chars().take(MAX_LABEL_NAME).collect()
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
        for name in ["", "a b", "ü", "-a", "/b", "Ex_ample/b", &"x".repeat(MAX_LABEL_NAME + 1)] {
            let field = check_labels("labels", &one(name, "v")).unwrap_err().field;
            assert!(field.starts_with("labels."), "{field}");
        }
        for value in ["a b", "eu,us", "eu-", &"x".repeat(MAX_LABEL_NAME + 1)] {
            let violation = check_labels("labels", &one("region", value)).unwrap_err();
            assert_eq!(violation.field, "labels.region");
        }
        let many = (0..=MAX_LABELS).map(|n| (format!("l{n}"), String::new())).collect();
        assert!(check_labels("labels", &many).unwrap_err().rule.contains("65 labels"));
    }

    #[test]
    fn labels_are_those_of_kubernetes() {
        let long = "x".repeat(MAX_LABEL_NAME + 1);
        for (key, value) in
            [("region", "eu"), ("example.org/gpu", "A100"), ("a.b_c-d", ""), ("x", "0.9")]
        {
            assert_eq!(check_label(key, value), Ok(()), "{key}={value}");
        }
        for (key, value) in [
            ("", "eu"),
            ("-region", "eu"),
            ("region", "eu west"),
            ("region", "-eu"),
            ("Example.org/gpu", "a100"),
            ("/gpu", "a100"),
            ("a/b/c", "x"),
            (&long, "x"),
            ("region", &long),
        ] {
            assert!(check_label(key, value).is_err(), "{key}={value}");
        }
    }
}

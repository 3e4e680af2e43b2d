//! Names of resources and organizations, checked when they are made.

use std::borrow::Borrow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::Violation;

/// The longest name accepted, in bytes.
pub const NAME_MAX: usize = 128;

static PLAIN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_][A-Za-z0-9_\-]*$").expect("a constant pattern"));
static DOTTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$").expect("a constant pattern"));

fn check(text: &str, pattern: &Regex, rule: &str) -> Result<(), Violation> {
    if text.is_empty() {
        return Err(Violation::new("name", "must not be empty"));
    }
    if text.len() > NAME_MAX {
        let rule = format!("is {} bytes long, at most {NAME_MAX} are allowed", text.len());
        return Err(Violation::new("name", rule));
    }
    if !pattern.is_match(text) {
        return Err(Violation::new("name", format!("{text:?} must match {rule}")));
    }
    Ok(())
}

/// Checks a text that names something else, whatever that is: it must not be longer than a name.
pub fn check_reference(field: impl Into<String>, text: &str) -> Result<(), Violation> {
    if text.len() <= NAME_MAX {
        return Ok(());
    }
    let rule = format!("is {} bytes long, at most {NAME_MAX} are allowed", text.len());
    Err(Violation::new(field, rule))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks v1's rule `^[\w\d][\w\d\-]*$` (ASCII) and [`NAME_MAX`].
            pub fn new(text: &str) -> Result<Self, Violation> {
                check(text, &PLAIN, r"^[\w\d][\w\d\-]*$")?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, shared rather than copied.
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// A resource's name, unique in its organization and kind.
    Name
}
name_type! {
    /// An organization's name. Every row, path and cache key has one.
    OrgName
}

impl Name {
    /// A name that may hold dots, as service accounts' may.
    pub fn dotted(text: &str) -> Result<Self, Violation> {
        check(text, &DOTTED, r"^[\w\d][\w\d\-.]*$")?;
        Ok(Self(text.into()))
    }

    /// A name read back from the store, which checked it on the way in.
    pub fn trusted(text: &str) -> Self {
        Self(text.into())
    }
}

impl OrgName {
    /// A name read back from the store, which checked it on the way in.
    pub fn trusted(text: &str) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_names_are_accepted_and_others_say_the_rule() {
        for good in ["a", "hello-py", "_x", "0", "Hello_World-2"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a/b", "ü", "a.b", "../x", &"x".repeat(NAME_MAX + 1)] {
            let violation = Name::new(bad).expect_err(bad);
            assert_eq!(violation.field, "name");
            assert!(!violation.rule.is_empty());
        }
        assert!(Name::dotted("svc.account").is_ok());
    }
}

//! Versions: what a function was at each of its updates. Immutable, numbered from 1.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::function::FunctionSpec;
use crate::{Name, NoStatus, Violation, kind};

kind!(
    /// Marks versions of functions.
    FunctionVersion, FunctionVersionSpec, NoStatus
);

/// Most versions kept of a function, beside those that serve or have an alias.
pub const MAX_VERSIONS: usize = 50;

/// All that is needed to run a version again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionVersionSpec {
    /// Name of its function.
    pub function: String,
    pub number: u64,
    /// The deployment it runs as, on whichever engines.
    pub faas_id: Uuid,
    /// Names everything it is made of: another hash is another version.
    pub hash: String,
    pub language: String,
    /// The image's URL: `host:LANGUAGE` or an OCI reference.
    pub image_url: String,
    /// Digest of the image it runs on; absent on the machine's own programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// What its image was built on, and the digest of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_digest: Option<String>,
    /// Where people find the function's own image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_image_url: Option<String>,
    /// Digest of the manifest of the function's own image, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether that image is in a registry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub published: bool,
    /// What the function said when the version was made.
    pub spec: FunctionSpec,
}

impl FunctionVersionSpec {
    /// Where engines pull the function's own image.
    pub fn pulled_from(&self) -> Option<String> {
        let (url, digest) = (self.function_image_url.as_ref()?, self.digest.as_ref()?);
        self.published.then(|| format!("{url}@{digest}"))
    }
}

/// The name a version is stored by: no function has a dot in its name.
pub fn version_name(function: &Name, number: u64) -> Name {
    Name::trusted(&format!("{function}.{number}"))
}

/// A version of a function as people name it: by number or by alias.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Qualifier {
    Version(u64),
    Alias(Name),
}

impl Qualifier {
    /// # Errors
    /// When it is neither a number from 1 nor a name.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse::<u64>() {
                Ok(number) if number > 0 => Ok(Qualifier::Version(number)),
                _ => Err(Violation::new("version", format!("{text:?} is no number from 1"))),
            };
        }
        Name::new(text).map(Qualifier::Alias).map_err(|v| Violation::new("alias", v.rule))
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Version(number) => write!(f, "{number}"),
            Qualifier::Alias(name) => write!(f, "{name}"),
        }
    }
}

/// `hello`, `hello:7` or `hello:blue`: a function, and which of its versions is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionReference {
    pub function: Name,
    /// `None`: the one that serves, or its canary.
    pub qualifier: Option<Qualifier>,
}

impl FunctionReference {
    /// # Errors
    /// When the name or what follows the colon breaks its rule.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let (function, qualifier) = match text.split_once(':') {
            Some((function, qualifier)) => (function, Some(Qualifier::parse(qualifier)?)),
            None => (text, None),
        };
        Ok(Self { function: Name::new(function)?, qualifier })
    }

    /// The function's part of such a text, whatever it is.
    pub fn function_of(text: &str) -> &str {
        text.split_once(':').map_or(text, |(function, _)| function)
    }
}

impl fmt::Display for FunctionReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.qualifier {
            Some(qualifier) => write!(f, "{}:{qualifier}", self.function),
            None => write!(f, "{}", self.function),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_with_or_without_a_version() {
        let parse = FunctionReference::parse;
        let hello = |qualifier| FunctionReference { function: Name::trusted("hello"), qualifier };
        assert_eq!(parse("hello").unwrap(), hello(None));
        assert_eq!(parse("hello:7").unwrap(), hello(Some(Qualifier::Version(7))));
        let blue = Qualifier::Alias(Name::trusted("blue"));
        assert_eq!(parse("hello:blue").unwrap(), hello(Some(blue)));
        for bad in
            ["", ":7", "hello:", "hello:0", "hello:a:b", "he llo", "hello:99999999999999999999"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

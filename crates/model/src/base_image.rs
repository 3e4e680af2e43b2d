//! Base images: what a function's image is built on; names a language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::check_reference;
use crate::{NoStatus, Violation, kind};

kind!(
    /// Marks base images.
    BaseImage, BaseImageSpec, NoStatus
);

/// Prefix of a base image URL that means "the interpreter of this machine".
pub const HOST_SCHEME: &str = "host:";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImageSpec {
    /// `registry/name:tag`, or `host:LANGUAGE` for the machine's own interpreter.
    pub docker_url: String,
    /// The language of the functions built on it: `python3`, `nodejs`, …
    pub language: String,
    pub groups: Vec<String>,
    /// Free attributes, kept as given (v1).
    pub spec: BTreeMap<String, String>,
}

impl BaseImageSpec {
    pub fn check(&self) -> Result<(), Violation> {
        if self.docker_url.trim().is_empty() {
            return Err(Violation::new("dockerUrl", "is required, for example host:python3"));
        }
        if self.language.trim().is_empty() {
            return Err(Violation::new("language", "is required, for example python3"));
        }
        check_reference("language", &self.language)
    }
}

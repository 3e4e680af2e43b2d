//! Base images: what a function's image is built on; names a language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::check_reference;
use crate::{Violation, kind};

kind!(
    /// Marks base images.
    BaseImage, BaseImageSpec, BaseImageStatus
);

/// Prefix of a base image URL that means "the interpreter of this machine".
pub const HOST_SCHEME: &str = "host:";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImageSpec {
    /// `registry/name:tag`, or `host:LANGUAGE` for the machine's own interpreter.
    pub docker_url: String,
    /// The language of the functions built on it: `python3`, `nodejs`, …
    pub language: String,
    /// A secret with `username` and `password`, or `token`, for the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    pub groups: Vec<String>,
    /// Free attributes, kept as given (v1).
    pub spec: BTreeMap<String, String>,
}

/// What a base image turned out to be. All of it is absent for `host:LANGUAGE`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BaseImageStatus {
    /// Digest of the manifest that is used, until an update takes what the URL leads to then.
    pub digest: Option<String>,
    /// The URL that digest was found at.
    pub resolved_url: Option<String>,
    /// What the URL leads to now, where that is something else.
    pub moved_to: Option<String>,
    /// `linux/amd64`.
    pub platform: Option<String>,
    /// As its os-release calls itself: `Debian GNU/Linux 12 (bookworm)`.
    pub os: Option<String>,
    /// What installs system packages: `apt`, `apk`, `tdnf`.
    pub package_manager: Option<String>,
    /// Bytes of its layers as they are transferred.
    pub size: u64,
    /// Digest of all signatures that its repository lists for it; another one means others.
    pub signatures: Option<String>,
}

impl BaseImageSpec {
    /// Whether it is the machine's own interpreter rather than an image.
    pub fn is_host(&self) -> bool {
        self.docker_url.starts_with(HOST_SCHEME)
    }
}

impl BaseImageSpec {
    pub fn check(&self) -> Result<(), Violation> {
        if self.docker_url.trim().is_empty() {
            return Err(Violation::new("dockerUrl", "is required, for example host:python3"));
        }
        if self.language.trim().is_empty() {
            return Err(Violation::new("language", "is required, for example python3"));
        }
        if let Some(secret) = &self.secret {
            check_reference("secret", secret)?;
        }
        check_reference("language", &self.language)
    }
}

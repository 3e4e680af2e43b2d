//! Whose packages: distributions and languages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose rules names and versions follow. `gem`, `maven`, … are the types of package URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    Deb,
    Rpm,
    Apk,
    Pypi,
    Npm,
    Gem,
    Maven,
    Composer,
    Powershell,
    /// A language's own runtime that no package manager knows of.
    Generic,
}

impl Ecosystem {
    pub const ALL: [Self; 10] = [
        Self::Deb,
        Self::Rpm,
        Self::Apk,
        Self::Pypi,
        Self::Npm,
        Self::Gem,
        Self::Maven,
        Self::Composer,
        Self::Powershell,
        Self::Generic,
    ];

    /// As JSON, policies and lists spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Gem => "gem",
            Self::Maven => "maven",
            Self::Composer => "composer",
            Self::Powershell => "powershell",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Bills of materials: what an inventory found, as CycloneDX 1.6 and as SPDX 2.3.
//!
//! The same bill always gives the same bytes: identifiers come from the subject's digest, the
//! time from the bill.

mod cyclonedx;
mod spdx;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::Digest;
use crate::inventory::{Os, Package};

pub use cyclonedx::MEDIA_TYPE as CYCLONEDX_MEDIA_TYPE;
pub use spdx::MEDIA_TYPE as SPDX_MEDIA_TYPE;

/// What a bill is about.
#[derive(Debug, Clone)]
pub struct Bill<'a> {
    pub subject: Artifact,
    /// What the subject is built on, the base image first.
    pub chain: Vec<Artifact>,
    pub os: Option<&'a Os>,
    pub packages: &'a [Package],
    /// When the subject was made, to the second; not when the bill was.
    pub created: DateTime<Utc>,
    /// Version of Dispatch.
    pub tool_version: String,
}

/// An image in the chain base image → image → function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub kind: Kind,
    pub name: String,
    pub digest: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    BaseImage,
    Image,
    Function,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BaseImage => "base-image",
            Self::Image => "image",
            Self::Function => "function",
        }
    }
}

impl Bill<'_> {
    /// A CycloneDX 1.6 document in JSON.
    pub fn cyclonedx(&self) -> Vec<u8> {
        bytes(&cyclonedx::document(self))
    }

    /// An SPDX 2.3 document in JSON.
    pub fn spdx(&self) -> Vec<u8> {
        bytes(&spdx::document(self))
    }

    /// A UUID of this subject and format: version 8, from a hash.
    fn uuid(&self, format: &str) -> Uuid {
        let text = format!("{format}\n{}\n{}", self.subject.kind.as_str(), self.subject.digest);
        let hash = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    fn timestamp(&self) -> String {
        self.created.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl Artifact {
    /// `pkg:oci/NAME@sha256:…`; the name is the last part of a reference, without its tag.
    fn purl(&self) -> Option<String> {
        let reference = self.name.split('@').next().unwrap_or_default();
        let last = reference.rsplit('/').next().unwrap_or_default();
        let name = last.split(':').next().unwrap_or_default();
        let mut purl = packageurl::PackageUrl::new("oci", name.to_lowercase()).ok()?;
        purl.with_version(self.digest.as_str()).ok()?;
        Some(purl.to_string())
    }
}

/// Edges from each package to those it needs, both as places in the list.
fn edges(packages: &[Package]) -> Vec<Vec<usize>> {
    let mut by_name = std::collections::HashMap::<_, Vec<usize>>::new();
    for (at, package) in packages.iter().enumerate() {
        by_name.entry((package.ecosystem, package.name.as_str())).or_default().push(at);
    }
    let needed = |package: &Package| {
        let named = package.dependencies.iter();
        let found = named.filter_map(|name| by_name.get(&(package.ecosystem, name.as_str())));
        // Of several installed ones any may be meant: the first stands for them.
        let mut needed: Vec<usize> = found.filter_map(|all| all.first().copied()).collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    };
    packages.iter().map(needed).collect()
}

fn bytes(document: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(document).expect("a JSON value is written to memory")
}

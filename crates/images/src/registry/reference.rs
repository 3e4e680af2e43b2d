//! `registry/name:tag@digest`, as people write it.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error, Result};

/// Where an image is in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    inner: oci_client::Reference,
    /// The registry's own word for it, before `docker.io` becomes the host that serves it.
    written: String,
}

impl Reference {
    /// The host that is asked, with its port.
    pub fn host(&self) -> &str {
        self.inner.resolve_registry()
    }

    pub fn repository(&self) -> &str {
        self.inner.repository()
    }

    pub(super) fn inner(&self) -> &oci_client::Reference {
        &self.inner
    }

    /// What is asked for: the digest where there is one, else the tag.
    pub fn version(&self) -> &str {
        self.inner.digest().or(self.inner.tag()).unwrap_or("latest")
    }

    pub fn digest(&self) -> Option<Digest> {
        self.inner.digest()?.parse().ok()
    }

    /// The same repository's content of a digest.
    pub fn at(&self, digest: &Digest) -> Self {
        let inner = self.inner.clone_with_digest(digest.to_string());
        let written = inner.whole();
        Self { inner, written }
    }

    /// The same repository's content of a tag.
    pub fn tagged(&self, tag: &str) -> Self {
        let (registry, repository) = (self.inner.registry(), self.inner.repository());
        let inner = oci_client::Reference::with_tag(
            registry.to_owned(),
            repository.to_owned(),
            tag.to_owned(),
        );
        let written = inner.whole();
        Self { inner, written }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let text = format!("{text:?} is no image: {why}; write registry/name:tag");
            Error::refused(text)
        };
        let inner: oci_client::Reference =
            text.parse().map_err(|e: oci_client::ParseError| wrong(&e.to_string()))?;
        if inner.digest().is_some_and(|digest| digest.parse::<Digest>().is_err()) {
            return Err(wrong("its digest is not sha256"));
        }
        Ok(Self { written: inner.whole(), inner })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

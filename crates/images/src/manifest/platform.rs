//! Which image of an index is for this machine.

use oci_spec::image::{Arch, Descriptor, ImageIndex, ImageManifest, Os};

use crate::{Digest, Error, Result};

/// A document that names an image.
pub(crate) enum Named {
    /// One image, for one platform.
    Manifest,
    Index(ImageIndex),
}

impl Named {
    /// # Errors
    /// [`Error::Refused`] when it is neither a manifest nor an index, or can be read as both, so
    /// that two programs would see two images in it.
    pub fn parse(bytes: &[u8], digest: &Digest) -> Result<Self> {
        let index = serde_json::from_slice::<ImageIndex>(bytes);
        let manifest = serde_json::from_slice::<ImageManifest>(bytes);
        match (index, manifest) {
            (Ok(_), Ok(_)) => {
                Err(Error::refused(format!("{digest} is both a manifest and an index")))
            }
            (Ok(index), _) => Ok(Named::Index(index)),
            (_, Ok(_)) => Ok(Named::Manifest),
            (Err(_), Err(error)) => {
                Err(Error::refused(format!("{digest} is no image's manifest: {error}")))
            }
        }
    }
}

/// The image for this machine of those a list has. `what` is for the error, which says which
/// platforms there are.
pub(crate) fn choose<'d>(list: &'d [Descriptor], what: &str) -> Result<&'d Descriptor> {
    let (os, arch) = (Os::Linux, Arch::default());
    let fits = |d: &&Descriptor| {
        d.platform().as_ref().is_some_and(|p| *p.os() == os && *p.architecture() == arch)
    };
    list.iter().find(fits).ok_or_else(|| {
        let platforms = list.iter().filter_map(|d| d.platform().as_ref());
        let there: Vec<_> = platforms.map(|p| format!("{}/{}", p.os(), p.architecture())).collect();
        let there = match there.is_empty() {
            true => "no platform".to_owned(),
            false => there.join(", "),
        };
        Error::refused(format!("{what} is for {there}, not {os}/{arch}"))
    })
}

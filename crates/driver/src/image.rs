//! Where an engine finds the root file system of an image.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::Result;

/// Unpacked images by the digest of their manifest. The server gives one to engines that run
/// images.
#[async_trait]
pub trait ImageStore: Send + Sync + 'static {
    /// The image's layers on this machine; those that are not here are fetched and unpacked first.
    /// They stay until [`ImageStore::release`] was called as often.
    ///
    /// # Errors
    /// `Fault::Ours` when content is missing or damaged, `Fault::Backend` when a registry that has
    /// it does not answer.
    async fn root(&self, digest: &str) -> Result<ImageRoot>;

    /// One user of the image's layers less.
    fn release(&self, digest: &str);
}

/// An image, ready to be mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageRoot {
    /// Directories of unpacked layers, the lowest first. Whiteouts are character devices 0:0,
    /// opaque directories have the extended attribute `user.overlay.opaque`. Everything in them
    /// belongs to one user; no file is set-user-id, and there are no devices.
    pub layers: Vec<PathBuf>,
    /// The environment the image's configuration sets (`PATH` among it).
    pub environment: Vec<(String, String)>,
}

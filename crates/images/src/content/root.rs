//! What engines mount: the layers of images that are here.

use async_trait::async_trait;
use dispatch_driver::{ImageRoot, ImageStore};

use super::Content;
use crate::{Digest, Error, Image, Result};

impl Content {
    /// An image's unpacked layers, which stay until [`Content::release`] was called as often.
    ///
    /// # Errors
    /// [`Error::Refused`] when the image is not here or not what it should be. Nothing has to be
    /// released then.
    pub async fn root(&self, manifest: &Digest) -> Result<ImageRoot> {
        self.hold(manifest);
        let root = self.held_root(manifest).await;
        if root.is_err() {
            self.release(manifest);
        }
        root
    }

    async fn held_root(&self, manifest: &Digest) -> Result<ImageRoot> {
        let image = Image::load(self, manifest).await?;
        for digest in image.blobs().chain([manifest]) {
            // Somebody may be pruning who looked before it was held.
            let found = self.found(&self.blob_path(digest));
            found.map_err(Error::io(format!("{digest} cannot be used")))?;
        }
        image.unpack(self).await
    }
}

/// Images that are here; one that is not is an error, since a digest does not say where it is from.
#[async_trait]
impl ImageStore for Content {
    async fn root(&self, digest: &str) -> dispatch_driver::Result<ImageRoot> {
        let failed = |error: Error| error.into_driver(digest);
        let digest: Digest = digest
            .parse()
            .map_err(|e: crate::digest::NoDigest| failed(Error::refused(e.to_string())))?;
        Content::root(self, &digest).await.map_err(failed)
    }

    fn release(&self, digest: &str) {
        if let Ok(digest) = digest.parse() {
            Content::release(self, &digest);
        }
    }
}

//! One image for several platforms: an index of their manifests.

use oci_spec::image::{ImageIndexBuilder, MediaType, PlatformBuilder, SCHEMA_VERSION};

use super::{bytes, descriptor, invalid};
use crate::{Content, Digest, Image, Result};

/// An index in the content store, and the images it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub digest: Digest,
    images: Vec<Digest>,
}

impl Index {
    /// Makes and stores one. The same images in the same order have the same digest.
    pub async fn make(content: &Content, images: &[&Image]) -> Result<Self> {
        let mut entries = Vec::new();
        for image in images {
            let size = content.document(&image.digest).await?.len() as u64;
            let mut entry = descriptor(MediaType::ImageManifest, size, &image.digest);
            let platform = PlatformBuilder::default()
                .os(image.config.os().clone())
                .architecture(image.config.architecture().clone());
            entry.set_platform(Some(platform.build().map_err(invalid)?));
            entries.push(entry);
        }
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(entries)
            .build()
            .map_err(invalid)?;
        let digest = content.put(bytes(&index)?).await?;
        Ok(Self { digest, images: images.iter().map(|image| image.digest.clone()).collect() })
    }

    /// Digests of the images' manifests.
    pub fn images(&self) -> impl Iterator<Item = &Digest> {
        self.images.iter()
    }
}

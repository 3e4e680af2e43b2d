//! Artifacts: manifests of what is no image, often attached to one (image-spec 1.1, "Guidelines for
//! Artifact Usage").

use std::collections::{BTreeMap, HashMap};

use oci_spec::image::{Descriptor, ImageManifest, ImageManifestBuilder, MediaType, SCHEMA_VERSION};

use super::{bytes, descriptor, invalid, media_type, of, parse};
use crate::{Content, Digest, Error, Result};

/// The configuration of what needs none: `{}`.
const EMPTY: &[u8] = b"{}";
/// Files one artifact may have.
const MAX_FILES: usize = 128;

/// An artifact whose manifest is in the content store.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Of the manifest: what names it.
    pub digest: Digest,
    pub manifest: ImageManifest,
    blobs: Vec<(Digest, u64)>,
}

/// What an artifact is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// `application/vnd.cyclonedx+json`.
    pub artifact_type: String,
    /// What it is attached to, by the digest of a manifest in the content store.
    pub subject: Option<Digest>,
    /// Media types and contents.
    pub files: Vec<(String, Vec<u8>)>,
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Makes an artifact and stores it. The same parts have the same digest.
    pub async fn make(content: &Content, parts: &Parts) -> Result<Self> {
        let config = content.put(EMPTY).await?;
        let config = descriptor(MediaType::EmptyJSON, EMPTY.len() as u64, &config);
        let mut layers = Vec::new();
        for (kind, file) in &parts.files {
            let digest = content.put(file).await?;
            let kind = MediaType::from(kind.as_str());
            layers.push(descriptor(kind, file.len() as u64, &digest));
        }
        let mut manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .artifact_type(MediaType::from(parts.artifact_type.as_str()))
            .config(config)
            .layers(layers);
        if let Some(subject) = &parts.subject {
            let bytes = content.document(subject).await?;
            let kind = MediaType::from(media_type(&bytes)?.as_str());
            manifest = manifest.subject(descriptor(kind, bytes.len() as u64, subject));
        }
        if !parts.annotations.is_empty() {
            let annotations: HashMap<_, _> = parts.annotations.clone().into_iter().collect();
            manifest = manifest.annotations(annotations);
        }
        Self::store(content, &manifest.build().map_err(invalid)?).await
    }

    pub(super) async fn store(content: &Content, manifest: &ImageManifest) -> Result<Self> {
        let bytes = bytes(manifest)?;
        Self::from_document(content.put(&bytes).await?, &bytes)
    }

    /// Reads an artifact's manifest.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is not here or is none.
    pub async fn load(content: &Content, digest: &Digest) -> Result<Self> {
        Self::from_document(digest.clone(), &content.document(digest).await?)
    }

    pub(crate) fn from_document(digest: Digest, bytes: &[u8]) -> Result<Self> {
        let manifest: ImageManifest = parse(bytes, "manifest", &digest)?;
        if manifest.layers().len() > MAX_FILES {
            return Err(Error::refused(format!("{digest} has more than {MAX_FILES} files")));
        }
        let blobs = [manifest.config()].into_iter().chain(manifest.layers());
        let blobs = blobs.map(|blob| Ok((of(blob)?, blob.size()))).collect::<Result<_>>()?;
        Ok(Self { digest, manifest, blobs })
    }

    /// The configuration and the files, with their bytes.
    pub fn blobs(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.blobs.iter().map(|(digest, size)| (digest, *size))
    }

    /// The files: media type and digest.
    pub fn files(&self) -> impl Iterator<Item = (String, &Digest)> {
        let kinds = self.manifest.layers().iter().map(|layer| layer.media_type().to_string());
        kinds.zip(self.blobs.iter().skip(1).map(|(digest, _)| digest))
    }

    /// What it is attached to.
    pub fn subject(&self) -> Result<Option<Digest>> {
        self.manifest.subject().as_ref().map(of).transpose()
    }

    /// How a list of what is attached names it.
    pub(crate) async fn entry(&self, content: &Content) -> Result<Descriptor> {
        let size = content.document(&self.digest).await?.len() as u64;
        let mut entry = descriptor(MediaType::ImageManifest, size, &self.digest);
        let own = self.manifest.artifact_type().clone();
        // Where there is no type of its own, it is the configuration's.
        let kind = own.unwrap_or_else(|| self.manifest.config().media_type().clone());
        entry.set_artifact_type(Some(kind));
        entry.set_annotations(self.manifest.annotations().clone());
        Ok(entry)
    }
}

//! Fetching: what a tag leads to, documents, layers.

use futures::stream::{self, TryStreamExt as _};
use futures::{FutureExt as _, StreamExt as _};
use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use reqwest::Method;

use super::session::{Session, read};
use super::sign_in::Intent;
use super::{Credentials, Reference, Registries, failure};
use crate::content::MAX_DOCUMENT;
use crate::manifest::platform::{Named, choose};
use crate::manifest::{of, parse};
use crate::{Artifact, Content, Digest, Error, Image, Result};

/// Layers fetched at the same time.
const PARALLEL: usize = 3;
/// Tries of one layer, each from where the one before broke off or from the start.
const TRIES: u32 = 3;

impl Registries {
    /// The digest of the image for this machine that a reference leads to now. Fetches documents
    /// only.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry does not answer, [`Error::Refused`] when it has no
    /// such image, or none for this machine.
    pub async fn resolve(&self, reference: &Reference, who: &Credentials) -> Result<Digest> {
        let session = self.session(reference, who, Intent::Pull).await?;
        Ok(session.manifest().await?.0)
    }

    /// Fetches an image: its documents, and the layers that are not here yet.
    ///
    /// # Errors
    /// As [`Registries::resolve`]; and [`Error::Refused`] when what comes is not what was
    /// announced, or more than [`Settings::max_image_bytes`](super::Settings::max_image_bytes).
    pub async fn pull(
        &self,
        reference: &Reference,
        who: &Credentials,
        content: &Content,
    ) -> Result<Image> {
        let session = self.session(reference, who, Intent::Pull).await?;
        let (digest, bytes) = session.manifest().await?;
        let manifest: ImageManifest = parse(&bytes, "manifest", &digest)?;
        let config = session.document(manifest.config()).await?;
        let image = Image::from_documents(digest, manifest, &config)?;
        session.layers(content, image.layers().collect()).await?;
        // The manifest last: who finds it finds the rest.
        content.put(&config).await?;
        content.put(&bytes).await?;
        Ok(image)
    }

    /// Fetches what is no image: an SBOM, a signature, a WebAssembly program.
    ///
    /// # Errors
    /// As [`Registries::pull`].
    pub async fn pull_artifact(
        &self,
        reference: &Reference,
        who: &Credentials,
        content: &Content,
    ) -> Result<Artifact> {
        let session = self.session(reference, who, Intent::Pull).await?;
        let (digest, bytes) = session.named(reference.version()).await?;
        let artifact = Artifact::from_document(digest, &bytes)?;
        session.layers(content, artifact.blobs().collect()).await?;
        content.put(&bytes).await?;
        Ok(artifact)
    }
}

impl Session<'_> {
    /// The manifest for this machine and its digest, through an index if need be.
    async fn manifest(&self) -> Result<(Digest, Vec<u8>)> {
        let (digest, bytes) = self.named(self.reference.version()).await?;
        let images = match Named::parse(&bytes, &digest)? {
            Named::Manifest => return Ok((digest, bytes)),
            Named::Index(images) => images,
        };
        let chosen = of(choose(&images, &self.reference.to_string())?)?;
        self.named(chosen.as_str()).await
    }

    async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = of(descriptor)?;
        if *descriptor.media_type() == MediaType::EmptyJSON {
            return Err(Error::refused(format!("{} is no image but an artifact", self.reference)));
        }
        let response = self.blob(&digest, 0).await?;
        let bytes = read(self.reference, response, MAX_DOCUMENT).await?;
        match Digest::of(&bytes) == digest {
            true => Ok(bytes),
            false => Err(Error::refused(format!("{digest} was asked for, something else came"))),
        }
    }

    /// Fetches the blobs that are not here yet.
    async fn layers(&self, content: &Content, layers: Vec<(&Digest, u64)>) -> Result<()> {
        let size = layers.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size));
        let most = self.registries.max_image_bytes();
        if size > most {
            let reference = self.reference;
            let text = format!("{reference} has {size} bytes of layers, at most {most} are taken");
            return Err(Error::refused(text));
        }
        let fetched: Vec<_> = layers
            .into_iter()
            .map(|(layer, size)| self.layer(content, layer.clone(), size).boxed())
            .collect();
        stream::iter(fetched).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await.map(drop)
    }

    async fn layer(&self, content: &Content, digest: Digest, size: u64) -> Result<()> {
        let turn = content.turn(digest.as_str());
        let _turn = turn.lock().await;
        if content.has_blob(&digest) {
            return Ok(());
        }
        let mut writer = content.writer()?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.append(&mut writer, &digest, size).await {
                Ok(()) => break,
                Err(error) if error.is_passing() && tries < TRIES => {
                    tracing::info!(%digest, %error, "a layer's transfer goes on after a break");
                }
                Err(error) => return Err(error),
            }
        }
        let stored = writer.finish(Some((&digest, size))).await;
        stored.map(drop).map_err(|error| match error {
            Error::Refused(why) => Error::refused(format!("layer of {}: {why}", self.reference)),
            other => other,
        })
    }

    /// Fetches what is missing of a layer.
    async fn append(
        &self,
        writer: &mut crate::content::BlobWriter,
        digest: &Digest,
        size: u64,
    ) -> Result<()> {
        let from = writer.size();
        if from == size && from > 0 {
            return Ok(());
        }
        let response = self.blob(digest, from).await?;
        if from > 0 && response.status() != reqwest::StatusCode::PARTIAL_CONTENT {
            // This registry knows no ranges: what is here already is read again and left out.
            return self.copy(response, writer, size, from).await;
        }
        self.copy(response, writer, size, 0).await
    }

    async fn copy(
        &self,
        response: reqwest::Response,
        writer: &mut crate::content::BlobWriter,
        size: u64,
        mut skip: u64,
    ) -> Result<()> {
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| failure::transport(self.reference, &error))?;
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= skipped as u64;
            let piece = &piece[skipped..];
            if writer.size() + piece.len() as u64 > size {
                let host = self.reference.host();
                let text = format!("registry {host} sends more than the {size} bytes of a layer");
                return Err(Error::refused(text));
            }
            writer.write(piece)?;
        }
        match writer.size() == size {
            true => Ok(()),
            false => {
                let (host, have) = (self.reference.host(), writer.size());
                let text = format!("registry {host} sent {have} of {size} bytes of a layer");
                Err(Error::Unavailable(text))
            }
        }
    }

    pub(super) async fn blob(&self, digest: &Digest, from: u64) -> Result<reqwest::Response> {
        let mut request = self.request(Method::GET, &format!("blobs/{digest}"));
        if from > 0 {
            request = request.header(reqwest::header::RANGE, format!("bytes={from}-"));
        }
        self.send(request).await
    }
}

//! Fetching: what a tag leads to, documents, layers.

use futures::stream::{self, TryStreamExt as _};
use futures::{FutureExt as _, StreamExt as _};
use oci_client::RegistryOperation;
use oci_spec::image::{Arch, Descriptor, ImageIndex, ImageManifest, MediaType, Os};
use reqwest::header::{ACCEPT, AUTHORIZATION};

use super::{Credentials, Reference, Registries, failure};
use crate::content::MAX_DOCUMENT;
use crate::manifest::{of, parse};
use crate::{Content, Digest, Error, Image, Result};

/// Layers fetched at the same time.
const PARALLEL: usize = 3;
/// Tries of one layer, each from where the one before broke off or from the start.
const TRIES: u32 = 3;

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// Somebody signed in to one repository.
pub(super) struct Session<'a> {
    registries: &'a Registries,
    reference: &'a Reference,
    authorization: Option<String>,
}

impl Registries {
    /// The digest of the image for this machine that a reference leads to now. Fetches documents
    /// only.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry does not answer, [`Error::Refused`] when it has no
    /// such image, or none for this machine.
    pub async fn resolve(&self, reference: &Reference, who: &Credentials) -> Result<Digest> {
        let session = self.session(reference, who).await?;
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
        let session = self.session(reference, who).await?;
        let (digest, bytes) = session.manifest().await?;
        let manifest: ImageManifest = parse(&bytes, "manifest", &digest)?;
        let config = session.document(manifest.config()).await?;
        let image = Image::from_documents(digest, manifest, &config)?;
        let (size, most) = (image.size(), self.settings.max_image_bytes);
        if size > most {
            let text = format!("{reference} has {size} bytes of layers, at most {most} are taken");
            return Err(Error::refused(text));
        }
        let layers = image.layers();
        let fetched: Vec<_> = layers
            .map(|(layer, size)| session.layer(content, layer.clone(), size).boxed())
            .collect();
        stream::iter(fetched).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
        // The manifest last: who finds it finds the rest.
        content.put(&config).await?;
        content.put(&bytes).await?;
        Ok(image)
    }

    pub(super) async fn session<'a>(
        &'a self,
        reference: &'a Reference,
        who: &Credentials,
    ) -> Result<Session<'a>> {
        let client = self.client()?;
        let signed = client.auth(reference.inner(), &who.auth(), RegistryOperation::Pull).await;
        let token = signed.map_err(|error| failure::library(reference, error))?;
        let authorization = match (token, who) {
            (Some(token), _) => Some(format!("Bearer {token}")),
            (None, Credentials::Password { user, password }) => {
                use base64::Engine as _;
                let pair = format!("{user}:{password}");
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                Some(format!("Basic {pair}"))
            }
            (None, _) => None,
        };
        Ok(Session { registries: self, reference, authorization })
    }
}

impl Session<'_> {
    /// The manifest for this machine and its digest, through an index if need be.
    async fn manifest(&self) -> Result<(Digest, Vec<u8>)> {
        let (digest, bytes) = self.named(self.reference.version()).await?;
        if let Some(wanted) = self.reference.digest()
            && wanted != digest
        {
            let text = format!("registry {} sent {digest} for {wanted}", self.reference.host());
            return Err(Error::refused(text));
        }
        let Ok(index) = serde_json::from_slice::<ImageIndex>(&bytes) else {
            return Ok((digest, bytes));
        };
        let chosen = of(self.choose(&index)?)?;
        let (digest, bytes) = self.named(chosen.as_str()).await?;
        if digest != chosen {
            let text = format!("registry {} sent {digest} for {chosen}", self.reference.host());
            return Err(Error::refused(text));
        }
        Ok((digest, bytes))
    }

    fn choose<'i>(&self, index: &'i ImageIndex) -> Result<&'i Descriptor> {
        let (os, arch) = (Os::Linux, Arch::default());
        let fits = |d: &&Descriptor| {
            d.platform().as_ref().is_some_and(|p| *p.os() == os && *p.architecture() == arch)
        };
        index.manifests().iter().find(fits).ok_or_else(|| {
            let platforms = index.manifests().iter().filter_map(|d| d.platform().as_ref());
            let there: Vec<_> =
                platforms.map(|p| format!("{}/{}", p.os(), p.architecture())).collect();
            let text = format!("{} is for {}, not {os}/{arch}", self.reference, there.join(", "));
            Error::refused(text)
        })
    }

    async fn named(&self, version: &str) -> Result<(Digest, Vec<u8>)> {
        let response = self.get(&format!("manifests/{version}"), Some(MANIFESTS), 0).await?;
        let bytes = self.read(response, MAX_DOCUMENT).await?;
        Ok((Digest::of(&bytes), bytes))
    }

    async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = of(descriptor)?;
        if *descriptor.media_type() == MediaType::EmptyJSON {
            return Err(Error::refused(format!("{} is no image but an artifact", self.reference)));
        }
        let response = self.get(&format!("blobs/{digest}"), None, 0).await?;
        let bytes = self.read(response, MAX_DOCUMENT).await?;
        match Digest::of(&bytes) == digest {
            true => Ok(bytes),
            false => Err(Error::refused(format!("{digest} was asked for, something else came"))),
        }
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
        let response = self.get(&format!("blobs/{digest}"), None, from).await?;
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
            writer.write(piece).await?;
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

    async fn get(&self, path: &str, accept: Option<&str>, from: u64) -> Result<reqwest::Response> {
        let (host, repository) = (self.reference.host(), self.reference.repository());
        let scheme = if self.registries.is_plain(host) { "http" } else { "https" };
        let url = format!("{scheme}://{host}/v2/{repository}/{path}");
        let mut request = self.registries.http.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        if from > 0 {
            request = request.header(reqwest::header::RANGE, format!("bytes={from}-"));
        }
        let response = request.send().await;
        let response = response.map_err(|error| failure::transport(self.reference, &error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(failure::status(self.reference, status)),
        }
    }

    async fn read(&self, response: reqwest::Response, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| failure::transport(self.reference, &error))?;
            if (bytes.len() + piece.len()) as u64 > most {
                let host = self.reference.host();
                let text = format!("registry {host} sends a document of more than {most} bytes");
                return Err(Error::refused(text));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

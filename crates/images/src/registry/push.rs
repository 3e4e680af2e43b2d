//! Pushing: layers the registry does not have, then the documents.

use futures::TryStreamExt as _;
use oci_client::RegistryOperation;
use oci_client::errors::OciDistributionError;
use tokio_util::io::ReaderStream;

use super::{Credentials, Reference, Registries, failure};
use crate::{Content, Digest, Error, Image, Result};

impl Registries {
    /// Pushes an image that is in the content store, under the reference's tag.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry does not answer, [`Error::Refused`] when it does
    /// not let us.
    pub async fn push(
        &self,
        image: &Image,
        reference: &Reference,
        who: &Credentials,
        content: &Content,
    ) -> Result<()> {
        let client = self.client()?;
        let failed = |error: OciDistributionError| failure::library(reference, error);
        let to = reference.inner();
        client.auth(to, &who.auth(), RegistryOperation::Push).await.map_err(failed)?;
        for digest in image.blobs() {
            if client.blob_exists(to, digest.as_str()).await.map_err(failed)? {
                continue;
            }
            let file = tokio::fs::File::open(content.blob_path(digest)).await;
            let file = file.map_err(|_| Error::refused(format!("{digest} is not here")))?;
            let stream = ReaderStream::with_capacity(file, 1 << 20);
            let stream = stream.map_err(OciDistributionError::IoError);
            let pushed = client.push_blob_stream(to, stream, digest.as_str(), None).await;
            pushed.map_err(failed)?;
        }
        let manifest = content.document(&image.digest).await?;
        let kind = image.manifest.media_type().as_ref().map(ToString::to_string);
        self.put_manifest(&client, reference, manifest, kind.as_deref()).await
    }

    async fn put_manifest(
        &self,
        client: &oci_client::Client,
        reference: &Reference,
        manifest: Vec<u8>,
        kind: Option<&str>,
    ) -> Result<()> {
        let kind = kind.unwrap_or("application/vnd.oci.image.manifest.v1+json");
        let kind = reqwest::header::HeaderValue::from_str(kind)
            .map_err(|_| Error::refused(format!("{kind:?} is no media type")))?;
        let digest = Digest::of(&manifest);
        let pushed = client.push_manifest_raw(reference.inner(), manifest, kind).await;
        pushed.map_err(|error| failure::library(reference, error))?;
        tracing::debug!(%reference, %digest, "a manifest was pushed");
        Ok(())
    }
}

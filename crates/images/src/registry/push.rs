//! Pushing: blobs the registry does not have, then the documents.

use futures::TryStreamExt as _;
use oci_client::RegistryOperation;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio_util::io::ReaderStream;

use super::session::Session;
use super::sign_in::Intent;
use super::{Credentials, Reference, Registries, failure};
use crate::manifest::index::Index;
use crate::manifest::media_type;
use crate::{Artifact, Content, Digest, Error, Image, Result};

/// Bytes of a blob sent with one request: an upload that stalls is noticed within one.
const PIECE: usize = 1 << 20;
/// Tries of a push after the first.
const TRIES: u32 = 3;

impl Registries {
    /// Pushes an image that is in the content store, under the reference's tag or digest.
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
        let session = self.session(reference, who, Intent::Push).await?;
        let blobs: Vec<_> = image.blobs().collect();
        let stored = session.store(reference.version(), &image.digest, &blobs, who, content);
        stored.await.map(drop)
    }

    /// Pushes an artifact that is in the content store, under the reference's tag or digest, and
    /// sees to it that it is listed with what it is attached to.
    ///
    /// # Errors
    /// As [`Registries::push`].
    pub async fn push_artifact(
        &self,
        artifact: &Artifact,
        reference: &Reference,
        who: &Credentials,
        content: &Content,
    ) -> Result<()> {
        let session = self.session(reference, who, Intent::Push).await?;
        let blobs: Vec<_> = artifact.blobs().map(|(digest, _)| digest).collect();
        let stored = session.store(reference.version(), &artifact.digest, &blobs, who, content);
        let answer = stored.await?;
        // So a registry says that it lists referrers itself (distribution-spec 1.1).
        match artifact.subject()? {
            Some(subject) if !answer.contains_key("oci-subject") => {
                session.list(&subject, &artifact.entry(content).await?).await
            }
            _ => Ok(()),
        }
    }

    /// Pushes images for several platforms, under one tag or digest.
    ///
    /// # Errors
    /// As [`Registries::push`].
    pub async fn push_index(
        &self,
        index: &Index,
        reference: &Reference,
        who: &Credentials,
        content: &Content,
    ) -> Result<()> {
        let session = self.session(reference, who, Intent::Push).await?;
        for digest in index.images() {
            let image = Image::load(content, digest).await?;
            let blobs: Vec<_> = image.blobs().collect();
            session.store(digest.as_str(), digest, &blobs, who, content).await?;
        }
        let stored = session.store(reference.version(), &index.digest, &[], who, content);
        stored.await.map(drop)
    }
}

impl Session<'_> {
    /// Stores a document after the blobs it names; returns what the answer says.
    async fn store(
        &self,
        version: &str,
        digest: &Digest,
        blobs: &[&Digest],
        who: &Credentials,
        content: &Content,
    ) -> Result<HeaderMap> {
        let mut tries = 0;
        // Registries stumble over two uploads of the same blob at once, and of course may break
        // off; what came in meanwhile is found there.
        loop {
            match self.store_once(version, digest, blobs, who, content).await {
                Err(error) if error.is_passing() && tries < TRIES => {
                    tries += 1;
                    tracing::info!(%digest, %error, "a push is tried again");
                }
                other => return other,
            }
        }
    }

    async fn store_once(
        &self,
        version: &str,
        digest: &Digest,
        blobs: &[&Digest],
        who: &Credentials,
        content: &Content,
    ) -> Result<HeaderMap> {
        let mut client = None;
        for blob in blobs {
            self.upload(blob, who, content, &mut client).await?;
        }
        let bytes = content.document(digest).await?;
        let kind = media_type(&bytes)?;
        self.put(version, &kind, bytes).await
    }

    /// Uploads a blob, unless it is there.
    async fn upload(
        &self,
        digest: &Digest,
        who: &Credentials,
        content: &Content,
        client: &mut Option<oci_client::Client>,
    ) -> Result<()> {
        let request = self.request(Method::HEAD, &format!("blobs/{digest}"));
        if self.find(request).await?.is_some() {
            return Ok(());
        }
        let client = match client {
            Some(client) => client,
            None => client.insert(self.uploads(who).await?),
        };
        let file = tokio::fs::File::open(content.blob_path(digest)).await;
        let file = file.map_err(|_| Error::refused(format!("{digest} is not here")))?;
        let stream = ReaderStream::with_capacity(file, PIECE);
        let stream = stream.map_err(OciDistributionError::IoError);
        let to = self.reference.inner();
        let pushed = client.push_blob_stream(to, stream, digest.as_str(), None).await;
        pushed.map(drop).map_err(|error| failure::library(self.reference, error))
    }

    /// The library, signed in as we are.
    async fn uploads(&self, who: &Credentials) -> Result<oci_client::Client> {
        let auth = match (self.token(), who) {
            (Some(token), _) => RegistryAuth::Bearer(token.to_owned()),
            (None, Credentials::Password { user, password }) => {
                RegistryAuth::Basic(user.clone(), password.clone())
            }
            (None, _) => RegistryAuth::Anonymous,
        };
        let client = self.registries.client()?;
        let to = self.reference.inner();
        let signed = client.auth(to, &auth, RegistryOperation::Push).await;
        signed.map_err(|error| failure::library(self.reference, error))?;
        Ok(client)
    }
}

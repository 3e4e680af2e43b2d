//! Signatures beside an image: cosign's image under a tag made of the image's digest.

use super::session::read;
use super::sign_in::Intent;
use super::{Credentials, Reference, Registries};
use crate::sign::{self, MAX_PAYLOAD, Signature, SignatureImage, listed};
use crate::{Artifact, Content, Digest, Error, Result};

impl Registries {
    /// What the registry lists as signatures of an image. Nothing of it is verified.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry does not answer, [`Error::Refused`] when its list
    /// is none or what is listed is not what it should be.
    pub async fn signatures(
        &self,
        reference: &Reference,
        digest: &Digest,
        who: &Credentials,
    ) -> Result<Vec<Signature>> {
        let session = self.session(reference, who, Intent::Pull).await?;
        let Some((_, manifest)) = session.look(&sign::tag(digest)).await? else {
            return Ok(Vec::new());
        };
        let none = |why: String| {
            let host = reference.host();
            Error::refused(format!("registry {host}'s list of signatures is none: {why}"))
        };
        let mut signatures = Vec::new();
        for found in listed(&manifest).map_err(none)? {
            let response = session.blob(&found.payload, 0).await?;
            let payload = read(reference, response, MAX_PAYLOAD as u64).await?;
            if Digest::of(&payload) != found.payload {
                return Err(none(format!("{} was asked for, something else came", found.payload)));
            }
            signatures.push(Signature { payload, signature: found.signature });
        }
        Ok(signatures)
    }

    /// Puts a signature of an image beside it, after those that are there.
    ///
    /// # Errors
    /// As [`Registries::push`].
    pub async fn push_signature(
        &self,
        signature: Signature,
        reference: &Reference,
        digest: &Digest,
        who: &Credentials,
        content: &Content,
    ) -> Result<()> {
        let mut all = self.signatures(reference, digest, who).await?;
        all.push(signature);
        let image = SignatureImage::new(&all);
        content.put(&image.config).await?;
        for signature in &all {
            content.put(&signature.payload).await?;
        }
        let named = content.put(&image.manifest).await?;
        let artifact = Artifact::from_document(named, &image.manifest)?;
        let tagged = reference.tagged(&sign::tag(digest));
        self.push_artifact(&artifact, &tagged, who, content).await
    }
}

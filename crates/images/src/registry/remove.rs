//! Deleting from registries.

use reqwest::Method;

use super::sign_in::Intent;
use super::{Credentials, Reference, Registries};
use crate::{Artifact, Digest, Result};

impl Registries {
    /// Deletes what a reference leads to, which takes it away from all its tags; true when it was
    /// there. Layers are the registry's to collect.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when the registry does not answer, [`crate::Error::Refused`]
    /// when it does not let us: many do not allow deleting (405).
    pub async fn delete(&self, reference: &Reference, who: &Credentials) -> Result<bool> {
        let session = self.session(reference, who, Intent::Delete).await?;
        let Some((digest, bytes)) = session.look(reference.version()).await? else {
            return Ok(false);
        };
        let request = session.request(Method::DELETE, &format!("manifests/{digest}"));
        let there = session.find(request).await?.is_some();
        let subject: Option<Digest> = match Artifact::from_document(digest.clone(), &bytes) {
            Ok(artifact) => artifact.subject()?,
            Err(_) => None,
        };
        if let Some(subject) = subject
            && session.own_list(&subject).await?.is_none()
        {
            session.unlist(&subject, &digest).await?;
        }
        Ok(there)
    }
}

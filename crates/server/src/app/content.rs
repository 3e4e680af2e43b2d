//! What images and functions are made of, as the organization that has them may know.

use dispatch_model::base_image::BaseImage;
use dispatch_model::function::Function;
use dispatch_model::image::Image;
use dispatch_model::{Kind, ResourceKind, Violation};

use super::{App, Caller, Error, Result};
use crate::content::bill::{self, Format, Known};

impl App {
    /// What a base image, an image or a function is made of.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a thing that has no content of its own (on `host:LANGUAGE`) or is
    /// not there.
    pub async fn content_get(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Known> {
        let (kind, digest) = match kind {
            ResourceKind::BaseImage => {
                (BaseImage::KIND, self.get::<BaseImage>(caller, name).await?.status.digest)
            }
            ResourceKind::Image => {
                (Image::KIND, self.get::<Image>(caller, name).await?.status.digest)
            }
            _ => {
                let status = self.get::<Function>(caller, name).await?.status;
                (Function::KIND, status.digest.or(status.image_digest))
            }
        };
        let none = || {
            let rule = format!(
                "{} {name} has no content that is known: it is not READY, or it runs on this \
                 machine's own programs (host:LANGUAGE)",
                kind.words()
            );
            Error::from(Violation::new("name", rule))
        };
        let digest = digest.ok_or_else(none)?;
        bill::known(&self.store, &digest).await?.ok_or_else(none)
    }

    /// Its bill of materials as a document.
    pub async fn content_bill(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        name: &str,
        format: Format,
    ) -> Result<Vec<u8>> {
        let known = self.content_get(caller, kind, name).await?;
        let unreadable =
            || Error::Internal(anyhow::anyhow!("content {} is unreadable", known.digest));
        known.document(name, format).ok_or_else(unreadable)
    }
}

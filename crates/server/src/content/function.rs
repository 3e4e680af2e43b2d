//! Functions' own images, and where images go.

use std::collections::BTreeMap;

use dispatch_driver::Deployment;
use dispatch_images::function::FunctionParts;
use dispatch_images::registry::{Credentials, Reference};
use dispatch_images::sbom::Kind;
use dispatch_images::{Digest, Error, Image, Result};
use dispatch_model::{Name, OrgName};

use super::Contents;
use super::bill::{self, Link};

/// What stands for a registry where images are kept on this server only.
const LOCAL: &str = "local";

/// A function's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionImage {
    pub digest: String,
    pub url: String,
}

impl Contents {
    /// Makes the image of a function and pushes it, where the function runs on one. `None` for
    /// functions on the machine's own programs, and for those that cannot be images of their own.
    pub async fn function(&self, deployment: &Deployment) -> Result<Option<FunctionImage>> {
        let Some(digest) = &deployment.image_digest else { return Ok(None) };
        if deployment.image_url.starts_with(dispatch_model::base_image::HOST_SCHEME) {
            return Ok(None);
        }
        let Some(language) = self.languages.get(&deployment.language) else { return Ok(None) };
        if language.entry_point(&deployment.handler).is_err() {
            return Ok(None);
        }
        let digest: Digest = digest.parse().map_err(|_| Error::refused("an image's digest"))?;
        let image = Image::load(&self.content, &digest).await?;
        let bytes = self.sources.read(&deployment.source_digest).await;
        let bytes = bytes.map_err(|error| Error::Unavailable(error.to_string()))?;
        let scratch = self.content.scratch()?;
        let source = scratch.path().join("source");
        let (name, place) = (language.source.file_name(&deployment.handler), source.clone());
        let placed = tokio::task::spawn_blocking(move || {
            dispatch_sandbox::archive::place(&bytes, &name, &place)
        });
        let placed = placed.await.map_err(|e| Error::Unavailable(e.to_string()))?;
        placed.map_err(|error| Error::refused(error.to_string()))?;
        let (org, function) = (&deployment.org, &deployment.function);
        let labels = BTreeMap::from([
            ("io.dispatch.organization".to_owned(), org.to_string()),
            ("io.dispatch.function".to_owned(), function.to_string()),
        ]);
        let parts = FunctionParts {
            image: &image,
            language,
            handler: &deployment.handler,
            source: &source,
            source_digest: &deployment.source_digest,
            environment: deployment.environment.clone().into_iter().collect(),
            labels,
        };
        let made = self.builder()?.function(&parts).await?;
        let beneath = bill::known(&self.store, digest.as_str()).await;
        let beneath = beneath.map_err(|e| Error::Unavailable(format!("the store: {e}")))?;
        let mut chain = beneath.as_ref().map(|b| b.body.chain.clone()).unwrap_or_default();
        chain.extend(beneath.map(|image| Link { kind: image.body.kind, digest: image.digest }));
        let own = made.diff_ids().len() - image.diff_ids().len();
        self.index(&made, Kind::Function, chain, own).await?;
        self.push(&made, org, "functions", function).await?;
        let url = self.url(org, "functions", function);
        Ok(Some(FunctionImage { digest: made.digest.to_string(), url }))
    }

    /// Where an image is, as its resource shows it.
    pub(super) fn url(&self, org: &OrgName, kind: &str, name: &Name) -> String {
        let registry = match self.settings.registry.as_str() {
            "" => LOCAL,
            registry => registry.trim_end_matches('/'),
        };
        // Repositories have no capitals.
        format!("{registry}/{org}/{kind}/{name}").to_lowercase()
    }

    pub(super) async fn push(
        &self,
        image: &Image,
        org: &OrgName,
        kind: &str,
        name: &Name,
    ) -> Result<()> {
        if self.settings.registry.is_empty() {
            return Ok(());
        }
        let short = &image.digest.hex()[..12];
        let reference: Reference = format!("{}:{short}", self.url(org, kind, name)).parse()?;
        let (user, password) =
            (self.settings.registry_user.clone(), self.settings.registry_password.clone());
        let who = match user.is_empty() {
            true => Credentials::Nobody,
            false => Credentials::Password { user, password },
        };
        self.registries.push(image, &reference, &who, &self.content).await?;
        // The name alone leads to the newest.
        self.registries.push(image, &reference.tagged("latest"), &who, &self.content).await
    }
}

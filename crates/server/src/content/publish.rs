//! Images on their way to the registry: pushed, signed, with their bills of materials beside them.

use std::collections::BTreeMap;

use dispatch_images::manifest::artifact::Parts;
use dispatch_images::registry::{Credentials, Reference};
use dispatch_images::sbom::{CYCLONEDX_MEDIA_TYPE, SPDX_MEDIA_TYPE};
use dispatch_images::{Artifact, Digest, Image, Result};
use dispatch_model::{Name, OrgName};

use super::bill::{self, Format};
use super::signing::{Ours, signed};
use super::{Contents, store_failed};

/// Annotation of the OCI image specification: what people call an artifact.
const TITLE: &str = "org.opencontainers.image.title";

/// What goes to a registry.
#[derive(Debug, Clone)]
pub enum Made {
    Image(Box<Image>),
    /// A WebAssembly program.
    Program(Box<Artifact>),
}

impl Made {
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Image(image) => &image.digest,
            Self::Program(program) => &program.digest,
        }
    }
}

impl Contents {
    /// Whether what is made here goes to a registry, where engines find it.
    pub fn publishes(&self) -> bool {
        self.kept.publishes()
    }

    /// Pushes what was made with its bills and its signature, where there is a registry.
    pub(super) async fn publish(
        &self,
        made: &Made,
        org: &OrgName,
        kind: &str,
        name: &Name,
    ) -> Result<()> {
        if !self.kept.publishes() {
            return Ok(());
        }
        let (url, digest) = (self.kept.url(org, kind, name), made.digest());
        let reference: Reference = format!("{url}:{}", &digest.hex()[..12]).parse()?;
        let who = self.kept.publisher();
        self.push(made, &reference, &who).await?;
        self.attach(digest, name, &reference, &who).await?;
        self.sign(&url, digest, &reference, &who).await?;
        // The name alone leads to the newest, once all that belongs to it is there.
        self.push(made, &reference.tagged("latest"), &who).await
    }

    async fn push(&self, made: &Made, to: &Reference, who: &Credentials) -> Result<()> {
        let (registries, content) = (&self.kept.registries, &self.kept.content);
        match made {
            Made::Image(image) => registries.push(image, to, who, content).await,
            Made::Program(program) => registries.push_artifact(program, to, who, content).await,
        }
    }

    async fn attach(
        &self,
        digest: &Digest,
        name: &Name,
        reference: &Reference,
        who: &Credentials,
    ) -> Result<()> {
        let known = bill::known(&self.store, digest.as_str()).await.map_err(store_failed)?;
        let Some(known) = known else { return Ok(()) };
        for (format, media_type, title) in [
            (Format::CycloneDx, CYCLONEDX_MEDIA_TYPE, "bom.cdx.json"),
            (Format::Spdx, SPDX_MEDIA_TYPE, "bom.spdx.json"),
        ] {
            let Some(document) = known.document(name.as_str(), format) else { continue };
            let parts = Parts {
                artifact_type: media_type.to_owned(),
                subject: Some(digest.clone()),
                files: vec![(media_type.to_owned(), document)],
                annotations: BTreeMap::from([(TITLE.to_owned(), title.to_owned())]),
            };
            let artifact = Artifact::make(&self.kept.content, &parts).await?;
            let at = reference.at(&artifact.digest);
            self.kept.registries.push_artifact(&artifact, &at, who, &self.kept.content).await?;
        }
        Ok(())
    }

    async fn sign(
        &self,
        url: &str,
        digest: &Digest,
        reference: &Reference,
        who: &Credentials,
    ) -> Result<()> {
        let there = self.kept.registries.signatures(reference, digest, who).await?;
        let ours = Ours { key: self.signer.public(), below: Some(url.to_owned()) };
        if signed(&[], &ours, digest, &there) {
            return Ok(());
        }
        let signature = self.signer.sign(digest, url)?;
        let content = &self.kept.content;
        self.kept.registries.push_signature(signature, reference, digest, who, content).await
    }
}

//! Functions as artifacts of their own.

use std::collections::BTreeMap;

use dispatch_driver::Deployment;
use dispatch_images::function::FunctionParts;
use dispatch_images::inventory::{Package, inventory};
use dispatch_images::manifest::wasm::{self, Interfaces};
use dispatch_images::sbom::Kind;
use dispatch_images::{Artifact, Digest, Error, Image, Result, Rootfs};
use dispatch_sandbox::wasm::Program;

use super::bill::{self, Link};
use super::publish::Made;
use super::{Contents, store_failed, unknown};

/// The language of WebAssembly programs.
const WASM: &str = "wasm";

/// A function as an artifact of its own.
#[derive(Debug, Clone)]
pub struct FunctionImage {
    pub digest: String,
    pub url: String,
    made: Made,
}

impl Contents {
    /// Makes an artifact of a function: an image where it runs on one, a WebAssembly program as
    /// one. `None` for functions on the machine's own programs, and for those that cannot be
    /// images of their own.
    pub async fn function(&self, deployment: &Deployment) -> Result<Option<FunctionImage>> {
        let made = match deployment.language.as_str() {
            WASM => Some(Made::Program(Box::new(self.program(deployment).await?))),
            _ => self.function_image(deployment).await?.map(|image| Made::Image(Box::new(image))),
        };
        let url = self.kept.url(&deployment.org, "functions", &deployment.function);
        Ok(made.map(|made| FunctionImage { digest: made.digest().to_string(), url, made }))
    }

    /// Pushes it, where there is a registry.
    pub async fn publish_function(
        &self,
        deployment: &Deployment,
        function: &FunctionImage,
    ) -> Result<()> {
        let (org, name) = (&deployment.org, &deployment.function);
        self.publish(&function.made, org, "functions", name).await
    }

    /// Packages in the source of a function that has no artifact of its own.
    pub async fn source_packages(&self, deployment: &Deployment) -> Result<Vec<Package>> {
        let bytes = self.source(deployment).await?;
        let scratch = self.kept.content.scratch()?;
        let language = self.languages.get(&deployment.language);
        let name = match language {
            Some(language) => language.source.file_name(&deployment.handler),
            None => "source".to_owned(),
        };
        let place = scratch.path().join("source");
        let found = tokio::task::spawn_blocking(move || {
            dispatch_sandbox::archive::place(&bytes, &name, &place)?;
            Ok(inventory(&Rootfs::new(vec![place])).packages)
        });
        let found = found.await.map_err(|e| Error::Unavailable(e.to_string()))?;
        found.map_err(|error: dispatch_sandbox::archive::ArchiveError| {
            Error::refused(error.to_string())
        })
    }

    async fn function_image(&self, deployment: &Deployment) -> Result<Option<Image>> {
        let Some(digest) = &deployment.image_digest else { return Ok(None) };
        if deployment.image_url.starts_with(dispatch_model::base_image::HOST_SCHEME) {
            return Ok(None);
        }
        let Some(language) = self.languages.get(&deployment.language) else { return Ok(None) };
        if language.entry_point(&deployment.handler).is_err() {
            return Ok(None);
        }
        let digest: Digest = digest.parse().map_err(|_| Error::refused("an image's digest"))?;
        let image = self.kept.fetched(&digest).await?;
        let bytes = self.source(deployment).await?;
        let scratch = self.kept.content.scratch()?;
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
        let beneath = beneath.map_err(store_failed)?.ok_or_else(|| unknown(digest.as_str()))?;
        let mut chain = beneath.body.chain.clone();
        chain.push(Link { kind: beneath.body.kind, digest: beneath.digest });
        let own = made.diff_ids().len() - image.diff_ids().len();
        self.index(&made, Kind::Function, chain, own).await?;
        Ok(Some(made))
    }

    /// A WebAssembly program in the layout that its runtimes agreed on.
    async fn program(&self, deployment: &Deployment) -> Result<Artifact> {
        let source = self.source(deployment).await?;
        let read = tokio::task::spawn_blocking(move || Program::of(&source));
        let read = read.await.map_err(|e| Error::Unavailable(e.to_string()))?;
        let program = read.map_err(|error| Error::refused(error.to_string()))?;
        let interfaces = Interfaces { imports: program.imports, exports: program.exports };
        let made = wasm::artifact(&self.kept.content, &program.bytes, &interfaces).await?;
        self.index_program(&made).await?;
        Ok(made)
    }

    async fn source(&self, deployment: &Deployment) -> Result<bytes::Bytes> {
        let bytes = self.sources.read(&deployment.source_digest).await;
        bytes.map_err(|error| Error::Unavailable(error.to_string()))
    }
}

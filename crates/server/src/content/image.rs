//! Images: built on a base image, or found built.

use std::collections::BTreeMap;
use std::time::Instant;

use dispatch_images::build::Recipe;
use dispatch_images::sbom::Kind;
use dispatch_images::{Digest, Error, Image as Built, Result};
use dispatch_model::Resource;
use dispatch_model::base_image::BaseImage;
use dispatch_model::image::{Image, ImageStatus};
use serde_json::json;

use super::Contents;
use super::bill::Link;
use super::publish::Made;

impl Contents {
    /// The digest of all that an image is built from: another one means another build.
    pub fn image_inputs(&self, image: &Resource<Image>, base: &Resource<BaseImage>) -> String {
        inputs(image, Some(&base.spec.docker_url), Some(&base.spec.language), &base.status.digest)
    }

    /// Whether an image is built as its spec says, on what its base image was then.
    pub fn is_built(&self, image: &Resource<Image>) -> bool {
        let status = &image.status;
        let (url, language) = (status.base_url.as_ref(), status.language.as_ref());
        status.built_from == Some(inputs(image, url, language, &status.base_digest))
    }

    /// Builds an image on its base. One on the machine's own interpreter without packages is
    /// nothing but that.
    ///
    /// # Errors
    /// What the resource's `reason` is to say: the package manager's words among it.
    pub async fn image(
        &self,
        image: &Resource<Image>,
        base: &Resource<BaseImage>,
    ) -> Result<(ImageStatus, Option<Made>)> {
        let (spec, on) = (&image.spec, &base.spec);
        let mut status = ImageStatus {
            docker_url: Some(on.docker_url.clone()),
            language: Some(on.language.clone()),
            base_digest: base.status.digest.clone(),
            base_url: Some(on.docker_url.clone()),
            built_from: Some(self.image_inputs(image, base)),
            refreshed_ms: image.status.refreshed_ms,
            ..ImageStatus::default()
        };
        let plain = spec.system_packages.is_empty() && spec.runtime_manifest.is_none();
        if plain && on.is_host() {
            return Ok((status, None));
        }
        let Some(language) = self.languages.get(&on.language) else {
            return Err(Error::refused(format!("there is no language {:?}", on.language)));
        };
        let beneath = match on.is_host() {
            true => None,
            false => Some(self.base_here(base).await?),
        };
        let _turn = self.builds.acquire().await;
        let recipe = Recipe {
            base: beneath.as_ref(),
            language,
            system: &spec.system_packages,
            manifest: spec.runtime_manifest.as_deref(),
            fresh: image.status.refreshed_ms,
            labels: labels(image),
        };
        // The base stays while it is built on.
        if let Some(base) = &beneath {
            self.kept.content.hold(&base.image.digest);
        }
        let began = Instant::now();
        let built = self.builder()?.build(&recipe).await;
        self.metrics.built(built.is_ok(), began.elapsed());
        if let Some(base) = &beneath {
            self.kept.content.release(&base.image.digest);
        }
        let built = built?;
        let chain = base.status.digest.iter().map(|digest| Link {
            kind: Kind::BaseImage.as_str().to_owned(),
            digest: digest.clone(),
        });
        let layers = built.diff_ids().len();
        status.packages = self.index(&built, Kind::Image, chain.collect(), layers).await?;
        status.digest = Some(built.digest.to_string());
        status.size = built.size();
        if on.is_host() {
            return Ok((status, None));
        }
        status.docker_url = Some(self.kept.url(&image.meta.org, "images", &image.meta.name));
        Ok((status, Some(Made::Image(Box::new(built)))))
    }

    /// Pushes what was built, where there is a registry.
    pub async fn publish_image(&self, image: &Resource<Image>, built: &Made) -> Result<()> {
        self.publish(built, &image.meta.org, "images", &image.meta.name).await
    }

    /// Whether what an image was built into is still to be had: here, or in the registry.
    pub async fn image_here(&self, status: &ImageStatus) -> bool {
        let Some(digest) = &status.digest else { return true };
        let Ok(digest) = digest.parse() else { return false };
        self.kept.publishes() || Built::load(&self.kept.content, &digest).await.is_ok()
    }
}

fn inputs(
    image: &Resource<Image>,
    base_url: Option<&String>,
    language: Option<&String>,
    base_digest: &Option<String>,
) -> String {
    let spec = &image.spec;
    let packages = spec.system_packages.iter().map(|p| (&p.name, &p.version));
    let inputs = json!([
        base_url,
        language,
        base_digest,
        packages.collect::<Vec<_>>(),
        spec.runtime_manifest,
        image.status.refreshed_ms,
    ]);
    Digest::of(inputs.to_string().as_bytes()).to_string()
}

/// Annotation keys of the OCI image specification where there are some.
fn labels(image: &Resource<Image>) -> BTreeMap<String, String> {
    let all = [
        ("io.dispatch.organization", image.meta.org.to_string()),
        ("io.dispatch.image", image.meta.name.to_string()),
    ];
    all.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

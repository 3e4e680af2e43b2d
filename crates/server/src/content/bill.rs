//! What content is made of: looked into once, kept in the store, told as bills of materials.

use chrono::{DateTime, Utc};
use dispatch_images::inventory::{Note, Os, Package, inventory};
use dispatch_images::sbom::{self, Bill, Kind};
use dispatch_images::{Artifact, Digest, Error, Image, Result, Rootfs};
use dispatch_store::content::PackageRow;
use serde::{Deserialize, Serialize};

use super::{Contents, store_failed};

/// What the store keeps of some content beside its packages. No names: organizations that have the
/// same content share it, and have names of their own for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    /// `base-image`, `image`, `function`.
    pub kind: String,
    /// What it is made on, the base image first.
    pub chain: Vec<Link>,
    pub os: Option<Os>,
    pub platform: String,
    pub layers: Vec<LayerBody>,
    /// What could not be read.
    pub notes: Vec<Note>,
    pub created_ms: i64,
}

/// Content that other content is made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub kind: String,
    pub digest: String,
}

/// A layer, as its image tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerBody {
    pub digest: String,
    /// Bytes as they are transferred.
    pub size: u64,
    pub created_by: String,
}

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    CycloneDx,
    Spdx,
}

impl Contents {
    /// Looks into an image, unless that was done. Of one that is made on another (`chain`), only
    /// what it adds: `own` layers from the top.
    pub(super) async fn index(
        &self,
        image: &Image,
        kind: Kind,
        chain: Vec<Link>,
        own: usize,
    ) -> Result<u64> {
        let digest = image.digest.as_str();
        // What is known is not looked at again, but counts as new: nobody has it yet.
        if self.store.content_touch(digest).await.map_err(store_failed)?
            && let Some(known) = known(&self.store, digest).await.map_err(store_failed)?
        {
            return Ok(known.packages.len() as u64);
        }
        let layers = image.unpack(&self.kept.content).await?.layers;
        let looked_at = layers[layers.len().saturating_sub(own)..].to_vec();
        let found = tokio::task::spawn_blocking(move || inventory(&Rootfs::new(looked_at)));
        let found = found.await.map_err(|e| Error::Unavailable(format!("an inventory: {e}")))?;
        let body = Body {
            kind: kind.as_str().to_owned(),
            chain,
            os: found.os,
            platform: image.platform(),
            layers: layers_of(image),
            notes: found.notes,
            created_ms: dispatch_model::resource::now_ms(),
        };
        let row = |package: &Package| PackageRow {
            name: package.name.clone(),
            ecosystem: package.ecosystem.as_str().to_owned(),
            version: package.version.clone(),
            body: serde_json::to_string(package).unwrap_or_default(),
        };
        let rows: Vec<_> = found.packages.iter().map(row).collect();
        let body = serde_json::to_string(&body).unwrap_or_default();
        self.store.content_put(digest, &body, &rows).await.map_err(store_failed)?;
        self.vulnerabilities.scan(digest).await?;
        Ok(rows.len() as u64)
    }
}

impl Contents {
    /// Notes a WebAssembly program: one layer, and no packages that anything in it would name.
    pub(super) async fn index_program(&self, program: &Artifact) -> Result<()> {
        let layers = program.manifest.layers().iter().map(|layer| LayerBody {
            digest: layer.digest().to_string(),
            size: layer.size(),
            created_by: "dispatch: WebAssembly program".to_owned(),
        });
        let body = Body {
            kind: Kind::Function.as_str().to_owned(),
            chain: Vec::new(),
            os: None,
            platform: "wasm".to_owned(),
            layers: layers.collect(),
            notes: Vec::new(),
            created_ms: dispatch_model::resource::now_ms(),
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        self.store.content_put(program.digest.as_str(), &body, &[]).await.map_err(store_failed)
    }
}

fn layers_of(image: &Image) -> Vec<LayerBody> {
    let history = image.config.history().clone().unwrap_or_default();
    // Steps that made no layer are among the others.
    let mut steps = history.iter().filter(|step| step.empty_layer() != Some(true));
    let mut layer = |(digest, size): (&Digest, u64)| LayerBody {
        digest: digest.to_string(),
        size,
        created_by: steps.next().and_then(|step| step.created_by().clone()).unwrap_or_default(),
    };
    image.layers().map(&mut layer).collect()
}

/// All that is known of some content: its own packages and those of what it is made on.
#[derive(Debug, Clone)]
pub struct Known {
    pub digest: String,
    pub body: Body,
    pub packages: Vec<Package>,
}

/// Reads what is known of some content; `None` when nothing is, or not of what it is made on.
pub async fn known(
    store: &dispatch_store::Store,
    digest: &str,
) -> dispatch_store::Result<Option<Known>> {
    let Some((body, packages)) = own(store, digest).await? else { return Ok(None) };
    let mut known = Known { digest: digest.to_owned(), body, packages };
    if let Some(image) = known.image().map(str::to_owned) {
        let Some((_, beneath)) = own(store, &image).await? else { return Ok(None) };
        known.packages.extend(beneath);
        known.packages.sort();
        known.packages.dedup();
    }
    Ok(Some(known))
}

/// What some content adds to what it is made on.
pub async fn own(
    store: &dispatch_store::Store,
    digest: &str,
) -> dispatch_store::Result<Option<(Body, Vec<Package>)>> {
    let Some(text) = store.content_get(digest).await? else { return Ok(None) };
    let Ok(body) = serde_json::from_str::<Body>(&text) else { return Ok(None) };
    Ok(Some((body, packages_of(store, digest).await?)))
}

async fn packages_of(
    store: &dispatch_store::Store,
    digest: &str,
) -> dispatch_store::Result<Vec<Package>> {
    let rows = store.content_packages(digest).await?;
    Ok(rows.iter().filter_map(|row| serde_json::from_str(&row.body).ok()).collect())
}

impl Known {
    /// The image a function's content adds its own to.
    fn image(&self) -> Option<&str> {
        let function = self.body.kind == Kind::Function.as_str();
        self.body.chain.last().filter(|_| function).map(|image| image.digest.as_str())
    }

    /// Its own digest, and that of the content its packages come from beside it.
    pub fn digests(&self) -> impl Iterator<Item = &str> {
        [self.digest.as_str()].into_iter().chain(self.image())
    }

    /// The bill of materials of what the asker calls `name`; `None` for what a newer server wrote.
    pub fn document(&self, name: &str, format: Format) -> Option<Vec<u8>> {
        let artifact = |kind: &str, name: &str, digest: &str| {
            let kind = [Kind::BaseImage, Kind::Image, Kind::Function]
                .into_iter()
                .find(|known| known.as_str() == kind)?;
            Some(sbom::Artifact { kind, name: name.to_owned(), digest: digest.parse().ok()? })
        };
        let chain = self.body.chain.iter();
        let bill = Bill {
            subject: artifact(&self.body.kind, name, &self.digest)?,
            chain: chain.map(|l| artifact(&l.kind, &l.kind, &l.digest)).collect::<Option<_>>()?,
            os: self.body.os.as_ref(),
            packages: &self.packages,
            created: DateTime::<Utc>::from_timestamp_millis(self.body.created_ms)?,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Some(match format {
            Format::CycloneDx => bill.cyclonedx(),
            Format::Spdx => bill.spdx(),
        })
    }
}

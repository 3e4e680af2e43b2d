//! Images: a manifest, a configuration, layers; read from content and put together anew.

pub mod artifact;
pub mod index;
pub(crate) mod platform;
pub mod wasm;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::str::FromStr;

use oci_spec::image::{
    Config, Descriptor, History, HistoryBuilder, ImageConfiguration, ImageManifest,
    ImageManifestBuilder, MediaType, RootFs, RootFsBuilder, SCHEMA_VERSION,
};

use crate::layer::{NewLayer, Size, pack};
use crate::{Content, Digest, Error, ImageRoot, Result};

/// Layers one image may have: what overlayfs can mount with paths as long as ours.
pub const MAX_LAYERS: usize = 128;
/// The time of what we make: 1980-01-01, as in our layers.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// An image whose documents are in the content store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Of the manifest: what names the image.
    pub digest: Digest,
    pub manifest: ImageManifest,
    pub config: ImageConfiguration,
    layers: Vec<Layer>,
    config_digest: Digest,
    diff_ids: Vec<Digest>,
}

#[derive(Debug, Clone)]
struct Layer {
    digest: Digest,
    size: u64,
}

/// What an image has other than the one it is made from.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    pub environment: Vec<(String, String)>,
    pub entrypoint: Option<Vec<String>>,
    pub working_directory: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Of the manifest.
    pub annotations: BTreeMap<String, String>,
}

impl Image {
    /// Reads an image's documents.
    ///
    /// # Errors
    /// [`Error::Refused`] when one is not here or is not what it should be.
    pub async fn load(content: &Content, digest: &Digest) -> Result<Self> {
        let manifest = content.document(digest).await?;
        let manifest: ImageManifest = parse(&manifest, "manifest", digest)?;
        let config_digest = of(manifest.config())?;
        let config = content.document(&config_digest).await?;
        Self::from_documents(digest.clone(), manifest, &config)
    }

    /// An image for this machine without anything in it.
    pub async fn empty(content: &Content) -> Result<Self> {
        let mut config = ImageConfiguration::default();
        config.set_rootfs(rootfs(Vec::new())?);
        let config = bytes(&config)?;
        let digest = content.put(&config).await?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(MediaType::ImageConfig, config.len() as u64, &digest))
            .layers(Vec::new())
            .build()
            .map_err(invalid)?;
        Self::from_documents(content.put(bytes(&manifest)?).await?, manifest, &config)
    }

    pub(crate) fn from_documents(
        digest: Digest,
        manifest: ImageManifest,
        config: &[u8],
    ) -> Result<Self> {
        let config_digest = of(manifest.config())?;
        let config: ImageConfiguration = parse(config, "configuration", &config_digest)?;
        let diff_ids = config.rootfs().diff_ids().iter().map(|id| named(id));
        let diff_ids = diff_ids.collect::<Result<Vec<_>>>()?;
        let layer = |d: &Descriptor| Ok(Layer { digest: of(d)?, size: d.size() });
        let layers = manifest.layers().iter().map(layer).collect::<Result<Vec<_>>>()?;
        if layers.len() != diff_ids.len() {
            let (has, says) = (layers.len(), diff_ids.len());
            let text = format!("image {digest} has {has} layers, its configuration names {says}");
            return Err(Error::refused(text));
        }
        if layers.len() > MAX_LAYERS {
            let text = format!("image {digest} has more than {MAX_LAYERS} layers");
            return Err(Error::refused(text));
        }
        Ok(Self { digest, manifest, config, layers, config_digest, diff_ids })
    }

    /// All it is made of beside the manifest.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        self.layers.iter().map(|layer| &layer.digest).chain([&self.config_digest])
    }

    /// Digests of its uncompressed layers, the lowest first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.diff_ids
    }

    /// Packed layers with their bytes, the lowest first.
    pub fn layers(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.layers.iter().map(|layer| (&layer.digest, layer.size))
    }

    /// Bytes of all layers as they are transferred.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// `linux/amd64`.
    pub fn platform(&self) -> String {
        format!("{}/{}", self.config.os(), self.config.architecture())
    }

    /// What the image sets for programs in it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let set = self.config.config().as_ref().and_then(|config| config.env().clone());
        let pair = |text: &String| {
            text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        set.unwrap_or_default().iter().filter_map(pair).collect()
    }

    /// Its layers, unpacked where they are not yet.
    pub async fn unpack(&self, content: &Content) -> Result<ImageRoot> {
        let mut layers = Vec::with_capacity(self.layers.len());
        let mut all = Size::default();
        for (layer, diff_id) in self.layers.iter().zip(&self.diff_ids) {
            let (place, so_far) = content.unpack_after(&layer.digest, diff_id, all).await?;
            layers.push(place);
            all = so_far;
        }
        Ok(ImageRoot { layers, environment: self.environment() })
    }

    /// A new image: this one with layers on top, and stores its documents. The same input gives the
    /// same digest.
    pub async fn extend(&self, content: &Content, new: &[NewLayer], edits: &Edits) -> Result<Self> {
        let mut layers: Vec<_> = self.manifest.layers().iter().map(as_oci).collect();
        layers.extend(new.iter().map(|l| descriptor(MediaType::ImageLayerGzip, l.size, &l.digest)));
        let mut diff_ids: Vec<_> = self.diff_ids.iter().map(Digest::to_string).collect();
        diff_ids.extend(new.iter().map(|layer| layer.diff_id.to_string()));
        let mut history = self.config.history().clone().unwrap_or_default();
        history.extend(new.iter().map(step));
        let mut config = self.config.clone();
        config.set_rootfs(rootfs(diff_ids)?);
        config.set_history(Some(history));
        config.set_created(Some(CREATED.to_owned()));
        config.set_config(Some(edited(config.config().clone().unwrap_or_default(), edits)));
        let config = bytes(&config)?;
        let config_digest = content.put(&config).await?;
        let annotations: HashMap<_, _> = edits.annotations.clone().into_iter().collect();
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(MediaType::ImageConfig, config.len() as u64, &config_digest))
            .layers(layers)
            .annotations(annotations)
            .build()
            .map_err(invalid)?;
        let digest = content.put(bytes(&manifest)?).await?;
        Self::from_documents(digest, manifest, &config)
    }
}

/// Packs a directory as a layer of the content store.
pub async fn pack_layer(
    content: &Content,
    directory: &Path,
    prefix: &Path,
    created_by: &str,
) -> Result<NewLayer> {
    let scratch = content.scratch()?;
    let file = scratch.path().join("layer");
    let (from, prefix, to) = (directory.to_owned(), prefix.to_owned(), file.clone());
    let packed = tokio::task::spawn_blocking(move || {
        let out = std::io::BufWriter::new(std::fs::File::create(to)?);
        pack(&from, &prefix, out)
    });
    let packed = packed.await.map_err(|e| Error::Unavailable(format!("packing failed: {e}")))?;
    let packed = packed.map_err(Error::io("a layer cannot be packed"))?;
    let (digest, size) = content.adopt_blob(&file).await?;
    Ok(NewLayer { digest, size, diff_id: packed.diff_id, created_by: created_by.to_owned() })
}

/// What a manifest or an index says it is.
pub(crate) fn media_type(document: &[u8]) -> Result<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        media_type: Option<String>,
    }
    let document: Document = serde_json::from_slice(document).map_err(invalid)?;
    // Older manifests of OCI do not say.
    Ok(document.media_type.unwrap_or_else(|| MediaType::ImageManifest.to_string()))
}

fn step(layer: &NewLayer) -> History {
    let history = HistoryBuilder::default().created(CREATED).created_by(&layer.created_by);
    history.build().expect("all of a step of history may be left out")
}

fn rootfs(diff_ids: Vec<String>) -> Result<RootFs> {
    RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build().map_err(invalid)
}

fn edited(mut config: Config, edits: &Edits) -> Config {
    let mut all = config.env().clone().unwrap_or_default();
    for (name, value) in &edits.environment {
        let start = format!("{name}=");
        all.retain(|text| !text.starts_with(&start));
        all.push(format!("{start}{value}"));
    }
    config.set_env(Some(all));
    if let Some(entrypoint) = &edits.entrypoint {
        config.set_entrypoint(Some(entrypoint.clone()));
        config.set_cmd(None);
    }
    if let Some(directory) = &edits.working_directory {
        config.set_working_dir(Some(directory.clone()));
    }
    let mut labels = config.labels().clone().unwrap_or_default();
    labels.extend(edits.labels.clone());
    config.set_labels(Some(labels));
    config
}

/// A document as it is stored. Maps of the library have no order of their own, but the same
/// document must always be the same bytes.
pub(crate) fn bytes(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut sorted = serde_json::to_value(document).map_err(invalid)?;
    sorted.sort_all_objects();
    serde_json::to_vec(&sorted).map_err(invalid)
}

fn as_oci(layer: &Descriptor) -> Descriptor {
    let mut layer = layer.clone();
    let media_type = match layer.media_type().to_string().as_str() {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => MediaType::ImageLayerGzip,
        "application/vnd.docker.image.rootfs.diff.tar" => MediaType::ImageLayer,
        _ => layer.media_type().clone(),
    };
    layer.set_media_type(media_type);
    layer
}

pub(crate) fn descriptor(media_type: MediaType, size: u64, digest: &Digest) -> Descriptor {
    let digest = oci_spec::image::Digest::from_str(digest.as_str());
    Descriptor::new(media_type, size, digest.expect("a digest is one for the library too"))
}

pub(crate) fn of(descriptor: &Descriptor) -> Result<Digest> {
    named(descriptor.digest().as_ref())
}

pub(crate) fn named(text: &str) -> Result<Digest> {
    text.parse().map_err(|error: crate::digest::NoDigest| Error::refused(error.to_string()))
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    what: &str,
    digest: &Digest,
) -> Result<T> {
    let wrong = |error| Error::refused(format!("{digest} is no image's {what}: {error}"));
    serde_json::from_slice(bytes).map_err(wrong)
}

pub(crate) fn invalid(error: impl std::fmt::Display) -> Error {
    Error::refused(format!("an image's documents cannot be written: {error}"))
}

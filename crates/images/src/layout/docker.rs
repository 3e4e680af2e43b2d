//! What `docker save` writes: `manifest.json`, a configuration, uncompressed layers.
//!
//! It has no manifest of its own, so one is made, from digests that the configuration names: the
//! same file always has the same digest.

use oci_spec::image::{ImageConfiguration, ImageManifestBuilder, MediaType, SCHEMA_VERSION};
use serde::Deserialize;

use super::Found;
use super::files::Files;
use crate::manifest::{bytes, descriptor, invalid, named};
use crate::{Digest, Error, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
    repo_tags: Option<Vec<String>>,
}

/// The one image of the file.
pub fn find(files: &Files) -> Result<Found> {
    let all = files.document("manifest.json")?;
    let wrong = |e| Error::refused(format!("manifest.json is not as docker save writes it: {e}"));
    let all: Vec<Saved> = serde_json::from_slice(&all).map_err(wrong)?;
    let [saved] = all.as_slice() else {
        let names: Vec<_> = all.iter().filter_map(|saved| saved.repo_tags.clone()).collect();
        let names = names.concat().join(", ");
        let text = format!("it has {} images, not one: save one of {names:?} alone", all.len());
        return Err(Error::refused(text));
    };
    let config = files.document(&saved.config)?;
    let wrong = |e| Error::refused(format!("{} is no configuration: {e}", saved.config));
    let parsed: ImageConfiguration = serde_json::from_slice(&config).map_err(wrong)?;
    let diff_ids = parsed.rootfs().diff_ids();
    if diff_ids.len() != saved.layers.len() {
        let (has, says) = (saved.layers.len(), diff_ids.len());
        let text = format!("it has {has} layers, its configuration names {says}");
        return Err(Error::refused(text));
    }
    let mut layers = Vec::new();
    for (name, diff_id) in saved.layers.iter().zip(diff_ids) {
        let Some((_, size)) = files.reader(name)? else {
            return Err(Error::refused(format!("{name} is not in it")));
        };
        layers.push(descriptor(MediaType::ImageLayer, size, &named(diff_id)?));
    }
    let digest = Digest::of(&config);
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, config.len() as u64, &digest))
        .layers(layers)
        .build()
        .map_err(invalid)?;
    let manifest = bytes(&manifest)?;
    let digest = Digest::of(&manifest);
    Ok(Found { digest, manifest, config, layers: saved.layers.clone() })
}

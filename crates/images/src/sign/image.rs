//! The image in which a registry keeps signatures: one layer for each, the payload, whose
//! annotation is the signature.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ANNOTATION, MAX_PAYLOAD, MAX_SIGNATURE, MEDIA_TYPE, Signature};
use crate::Digest;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Signatures of one image, and bytes of the manifest that lists them.
const MAX_LAYERS: usize = 100;
const MAX_MANIFEST: usize = 1 << 20;

/// The documents of an image of signatures; its layers are the payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureImage {
    pub config: Vec<u8>,
    /// To be stored under [`super::tag`].
    pub manifest: Vec<u8>,
}

/// A signature as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Digest of the blob that is the payload.
    pub payload: Digest,
    pub signature: String,
}

#[derive(Serialize, Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: Digest,
    size: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

impl SignatureImage {
    pub fn new(signatures: &[Signature]) -> Self {
        let digests: Vec<Digest> = signatures.iter().map(|s| Digest::of(&s.payload)).collect();
        let config = json!({
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = config.to_string().into_bytes();
        let layers = signatures.iter().zip(digests).map(|(signature, digest)| {
            let annotation = (ANNOTATION.to_owned(), json!(signature.signature));
            Descriptor {
                media_type: MEDIA_TYPE.to_owned(),
                digest,
                size: signature.payload.len(),
                annotations: Some([annotation].into_iter().collect()),
            }
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": CONFIG,
                "digest": Digest::of(&config),
                "size": config.len(),
            },
            "layers": layers.collect::<Vec<_>>(),
        });
        Self { config, manifest: manifest.to_string().into_bytes() }
    }
}

/// The signatures a manifest lists; layers of other kinds are passed over.
///
/// # Errors
/// What is no manifest or too large.
pub fn listed(manifest: &[u8]) -> Result<Vec<Listed>, String> {
    if manifest.len() > MAX_MANIFEST {
        return Err(format!("the manifest has more than {MAX_MANIFEST} bytes"));
    }
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|e| e.to_string())?;
    if manifest.layers.len() > MAX_LAYERS {
        return Err(format!("{} signatures, more than {MAX_LAYERS}", manifest.layers.len()));
    }
    let signature = |layer: Descriptor| {
        let signature = layer.annotations?.get(ANNOTATION)?.as_str()?.to_owned();
        let fits = layer.media_type == MEDIA_TYPE && layer.size <= MAX_PAYLOAD;
        let fits = fits && signature.len() <= MAX_SIGNATURE;
        fits.then_some(Listed { payload: layer.digest, signature })
    };
    Ok(manifest.layers.into_iter().filter_map(signature).collect())
}

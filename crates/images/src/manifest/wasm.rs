//! WebAssembly programs as artifacts, in the layout that runtimes of the CNCF agreed on (TAG
//! Runtime, "Wasm OCI Artifact layout").

use oci_spec::image::{ImageManifestBuilder, MediaType, SCHEMA_VERSION};
use serde_json::json;

use super::{CREATED, bytes, descriptor, invalid};
use crate::{Artifact, Content, Error, Result};

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// What each file starts with, and what follows in a component and in a core module.
const MAGIC: &[u8] = b"\0asm";
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
const MODULE: &[u8] = &[1, 0, 0, 0];

/// What a component needs and what it offers, by the names of their interfaces.
#[derive(Debug, Clone, Default)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Makes an artifact of a program and stores it. The same program has the same digest.
///
/// # Errors
/// [`Error::Refused`] when it is neither a component nor a core module.
pub async fn artifact(
    content: &Content,
    program: &[u8],
    interfaces: &Interfaces,
) -> Result<Artifact> {
    let kind = program.strip_prefix(MAGIC).map(|rest| &rest[..rest.len().min(4)]);
    let layer = content.put(program).await?;
    let config = match kind {
        Some(COMPONENT) => json!({
            "created": CREATED, "architecture": "wasm", "os": "wasip2",
            "layerDigests": [layer],
            "component": {"imports": interfaces.imports, "exports": interfaces.exports},
        }),
        Some(MODULE) => json!({
            "created": CREATED, "architecture": "wasm", "os": "wasip1", "layerDigests": [layer],
        }),
        _ => return Err(Error::refused("it is no WebAssembly component or module")),
    };
    let config = bytes(&config)?;
    let digest = content.put(&config).await?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::from(CONFIG), config.len() as u64, &digest))
        .layers(vec![descriptor(MediaType::from(LAYER), program.len() as u64, &layer)])
        .build()
        .map_err(invalid)?;
    Artifact::store(content, &manifest).await
}

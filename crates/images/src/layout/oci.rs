//! What an OCI image layout has (image-spec, image-layout.md).

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, OciLayout};

use super::files::Files;
use super::{Found, blob_name};
use crate::manifest::platform::{Named, choose};
use crate::manifest::{of, parse};
use crate::{Digest, Error, Result};

/// Says which tag an entry of `index.json` has.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
pub const VERSION: &str = "1.0.0";
/// Tags named in an error.
const SHOWN: usize = 20;

/// The image of a tag, or of a digest.
pub fn find(files: &Files, tag: Option<&str>, digest: Option<&Digest>) -> Result<Found> {
    let layout = files.document("oci-layout")?;
    let wrong = |e| Error::refused(format!("it is no OCI layout: {e}"));
    let layout: OciLayout = serde_json::from_slice(&layout).map_err(wrong)?;
    let version = layout.image_layout_version();
    if version != VERSION {
        let text = format!("it is an OCI layout of version {version:?}, not {VERSION:?}");
        return Err(Error::refused(text));
    }
    let (digest, manifest) = match digest {
        Some(digest) => (digest.clone(), blob(files, digest)?),
        None => tagged(files, tag)?,
    };
    let documents: ImageManifest = parse(&manifest, "manifest", &digest)?;
    let config = blob(files, &of(documents.config())?)?;
    let layers = documents.layers().iter().map(|layer| Ok(blob_name(&of(layer)?)));
    Ok(Found { layers: layers.collect::<Result<_>>()?, digest, manifest, config })
}

fn tagged(files: &Files, tag: Option<&str>) -> Result<(Digest, Vec<u8>)> {
    let index = files.document("index.json")?;
    let wrong = |e| Error::refused(format!("index.json is no index: {e}"));
    let index: ImageIndex = serde_json::from_slice(&index).map_err(wrong)?;
    let digest = of(entry(index.manifests(), tag)?)?;
    let manifest = blob(files, &digest)?;
    let Named::Index(index) = Named::parse(&manifest, &digest)? else {
        return Ok((digest, manifest));
    };
    let chosen = of(choose(index.manifests(), "it")?)?;
    let manifest = blob(files, &chosen)?;
    Ok((chosen, manifest))
}

fn entry<'i>(entries: &'i [Descriptor], tag: Option<&str>) -> Result<&'i Descriptor> {
    let mut fitting = entries.iter().filter(|entry| tag.is_none() || name(entry) == tag);
    match (fitting.next(), fitting.next()) {
        (Some(entry), None) => return Ok(entry),
        // An index of index.json itself: one tag, or none, for several platforms.
        (Some(_), Some(_)) if entries.iter().all(|entry| name(entry) == tag) => {
            return choose(entries, "it");
        }
        _ => {}
    }
    let names: Vec<_> = entries.iter().filter_map(name).take(SHOWN).collect();
    let names = names.join(", ");
    Err(Error::refused(match tag {
        Some(tag) => format!("it has no tag {tag:?} of its own but {names:?}"),
        None => format!("it has several images: name one by its tag, of {names:?}"),
    }))
}

pub fn name(entry: &Descriptor) -> Option<&str> {
    entry.annotations().as_ref()?.get(REF_NAME).map(String::as_str)
}

fn blob(files: &Files, digest: &Digest) -> Result<Vec<u8>> {
    let bytes = files.document(&blob_name(digest))?;
    match Digest::of(&bytes) == *digest {
        true => Ok(bytes),
        false => Err(Error::refused(format!("{digest} is not what its name says"))),
    }
}

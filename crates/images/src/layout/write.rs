//! Images written as an OCI image layout, for programs that read one.

use std::path::Path;

use oci_spec::image::{Descriptor, ImageIndex, ImageIndexBuilder, MediaType, SCHEMA_VERSION};
use oci_spec::image::{Platform, PlatformBuilder};

use super::oci::{REF_NAME, VERSION, name};
use super::{blob_name, broken};
use crate::manifest::{bytes, descriptor, invalid};
use crate::{Content, Digest, Error, Image, Result};

/// Writes an image into a layout, which is made where there is none, under a tag, which is taken
/// from the image that has it.
///
/// # Errors
/// When a blob is not in the content store, or the disk says no.
pub async fn write(content: &Content, image: &Image, directory: &Path, tag: &str) -> Result<()> {
    let manifest = content.document(&image.digest).await?;
    let (content, image) = (content.clone(), image.clone());
    let (directory, tag) = (directory.to_owned(), tag.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let blobs = directory.join("blobs/sha256");
        std::fs::create_dir_all(blobs).map_err(Error::io("a layout cannot be made"))?;
        for digest in image.blobs().chain([&image.digest]) {
            copy(&content, digest, &directory)?;
        }
        let mut entry = descriptor(MediaType::ImageManifest, manifest.len() as u64, &image.digest);
        entry.set_platform(Some(platform(&image)?));
        entry.set_annotations(Some([(REF_NAME.to_owned(), tag.clone())].into()));
        let version = format!("{{\"imageLayoutVersion\":\"{VERSION}\"}}");
        replace(&directory, "oci-layout", version.as_bytes())?;
        let index = with(&directory, entry, &tag)?;
        replace(&directory, "index.json", &bytes(&index)?)
    });
    written.await.map_err(broken)?
}

fn platform(image: &Image) -> Result<Platform> {
    let (os, arch) = (image.config.os().clone(), image.config.architecture().clone());
    PlatformBuilder::default().os(os).architecture(arch).build().map_err(invalid)
}

/// A copy and no link: who writes to the layout must not write to the content store.
fn copy(content: &Content, digest: &Digest, directory: &Path) -> Result<()> {
    let to = directory.join(blob_name(digest));
    if to.is_file() {
        return Ok(());
    }
    let failed = || Error::io(format!("{digest} cannot be written"));
    let mut new = tempfile::NamedTempFile::new_in(directory).map_err(failed())?;
    let from = std::fs::File::open(content.blob_path(digest));
    let mut from = from.map_err(|_| Error::refused(format!("{digest} is not here")))?;
    std::io::copy(&mut from, &mut new).map_err(failed())?;
    readable(&new).map_err(failed())?;
    new.persist(to).map(drop).map_err(|error| failed()(error.error))
}

/// What is there, with an entry more.
fn with(directory: &Path, entry: Descriptor, tag: &str) -> Result<ImageIndex> {
    let file = directory.join("index.json");
    let mut entries = match file.is_file() {
        false => Vec::new(),
        true => {
            let wrong = |e| Error::refused(format!("{}: {e}", file.display()));
            ImageIndex::from_file(&file).map_err(wrong)?.manifests().clone()
        }
    };
    entries.retain(|there| name(there) != Some(tag));
    entries.push(entry);
    ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(entries)
        .build()
        .map_err(invalid)
}

fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let failed = || Error::io(format!("{name} cannot be written"));
    let mut new = tempfile::NamedTempFile::new_in(directory).map_err(failed())?;
    std::io::Write::write_all(&mut new, bytes).map_err(failed())?;
    readable(&new).map_err(failed())?;
    new.persist(directory.join(name)).map(drop).map_err(|error| failed()(error.error))
}

/// Temporary files are for their owner only; a layout is not.
fn readable(file: &tempfile::NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

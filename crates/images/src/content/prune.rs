//! Letting go of what nothing needs.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use oci_spec::image::{ImageIndex, ImageManifest};

use super::Content;
use crate::layer::NewLayer;
use crate::{Digest, Error, Image, Result};

/// What was, or would be, deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub blobs: u64,
    pub layers: u64,
    /// On disk, packed and unpacked.
    pub bytes: u64,
}

/// File names of what is needed.
#[derive(Default)]
struct Needed {
    blobs: HashSet<String>,
    layers: HashSet<String>,
}

struct Sweep {
    content: Content,
    oldest: SystemTime,
    dry: bool,
    pruned: Pruned,
}

impl Content {
    /// Deletes blobs and layers that are of none of the images, artifacts and indexes kept, of none
    /// that a deployment runs on, and older than `min_age`: what is younger may be of a build that
    /// nobody has written down yet. Killed in the middle it leaves whole things only.
    pub async fn prune(&self, kept: &[Digest], min_age: Duration, dry: bool) -> Result<Pruned> {
        // One at a time: two would stumble over what the other just deleted.
        let turn = self.turn("prune");
        let _turn = turn.lock().await;
        // Before looking at what is needed: what is found from now on counts as new.
        let oldest = SystemTime::now().checked_sub(min_age).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut roots: HashSet<Digest> = kept.iter().cloned().collect();
        roots.extend(self.users().keys().cloned());
        let mut needed = Needed::default();
        for root in roots {
            self.reach(&root, &mut needed).await;
        }
        let mut sweep = Sweep { content: self.clone(), oldest, dry, pruned: Pruned::default() };
        let swept = tokio::task::spawn_blocking(move || {
            sweep.directory("blobs/sha256", &needed.blobs)?;
            sweep.directory("layers", &needed.layers)?;
            sweep.built()?;
            Ok(sweep.pruned)
        });
        let swept = swept.await.map_err(|e| Error::Unavailable(format!("pruning failed: {e}")))?;
        swept.map_err(Error::io("content cannot be pruned"))
    }

    /// All that a document needs. Of what is only partly here, what is here is kept.
    async fn reach(&self, root: &Digest, needed: &mut Needed) {
        let mut digests = vec![root.clone()];
        while let Some(digest) = digests.pop() {
            if !needed.blobs.insert(digest.hex().to_owned()) {
                continue;
            }
            let Ok(bytes) = self.document(&digest).await else { continue };
            if let Ok(index) = serde_json::from_slice::<ImageIndex>(&bytes) {
                digests
                    .extend(index.manifests().iter().filter_map(|d| crate::manifest::of(d).ok()));
            }
            if let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&bytes) {
                let parts = manifest.layers().iter().chain([manifest.config()]);
                let parts = parts.filter_map(|part| crate::manifest::of(part).ok());
                needed.blobs.extend(parts.map(|part| part.hex().to_owned()));
            }
            if let Ok(image) = Image::load(self, &digest).await {
                let layers = image.diff_ids().iter().map(|diff_id| diff_id.hex().to_owned());
                needed.layers.extend(layers);
            }
        }
    }
}

impl Sweep {
    fn directory(&mut self, directory: &str, needed: &HashSet<String>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.content.0.root.join(directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !needed.contains(&name) {
                self.one(&entry.path(), &name)?;
            }
        }
        Ok(())
    }

    /// Forgets which layers builds made of those that are gone.
    fn built(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.content.directory("built"))? {
            let place = entry?.path();
            let layer = serde_json::from_slice::<NewLayer>(&std::fs::read(&place)?);
            let gone = layer.is_ok_and(|layer| !self.content.blob_path(&layer.digest).exists());
            if gone && !self.dry {
                std::fs::remove_file(&place)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, place: &Path, name: &str) -> std::io::Result<()> {
        let before = place.symlink_metadata()?;
        let size = if before.is_dir() { tree_size(place)? } else { before.len() };
        let doomed = self.content.0.root.join("new").join(format!("pruned-{name}"));
        {
            let _names = self.content.names();
            if place.symlink_metadata()?.modified()? > self.oldest {
                return Ok(());
            }
            match (self.dry, before.is_dir()) {
                (true, _) => {}
                // Its name goes first, so that nobody finds half a layer.
                (false, true) => std::fs::rename(place, &doomed)?,
                (false, false) => std::fs::remove_file(place)?,
            }
        }
        self.pruned.bytes += size;
        match before.is_dir() {
            false => self.pruned.blobs += 1,
            true => self.pruned.layers += 1,
        }
        match before.is_dir() && !self.dry {
            true => std::fs::remove_dir_all(&doomed),
            false => Ok(()),
        }
    }
}

fn tree_size(directory: &Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() { tree_size(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

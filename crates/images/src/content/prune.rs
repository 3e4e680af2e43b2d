//! Letting go of what nothing needs.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Content;
use crate::{Digest, Error, Image, Result};

/// What was, or would be, deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub blobs: u64,
    pub layers: u64,
    /// On disk, packed and unpacked.
    pub bytes: u64,
}

impl Content {
    /// Deletes blobs and layers that are of none of the images kept, of none that a deployment
    /// runs on, and older than `min_age`: what is younger may be of a build that nobody has
    /// written down yet. Killed in the middle it leaves whole things only.
    pub async fn prune(&self, kept: &[Digest], min_age: Duration, dry: bool) -> Result<Pruned> {
        let mut roots: HashSet<Digest> = kept.iter().cloned().collect();
        roots.extend(self.users().keys().cloned());
        let (mut blobs, mut layers) = (HashSet::new(), HashSet::new());
        for root in roots {
            blobs.insert(root.hex().to_owned());
            // An image that is only partly here keeps what is here by the parts it names.
            let Ok(image) = Image::load(self, &root).await else { continue };
            blobs.extend(image.blobs().map(|digest| digest.hex().to_owned()));
            layers.extend(image.diff_ids().iter().map(|digest| digest.hex().to_owned()));
        }
        let root = self.0.root.clone();
        let swept = tokio::task::spawn_blocking(move || {
            let mut pruned = Pruned::default();
            let oldest = SystemTime::now() - min_age;
            sweep(&root, "blobs/sha256", &blobs, oldest, dry, &mut pruned)?;
            sweep(&root, "layers", &layers, oldest, dry, &mut pruned)?;
            Ok(pruned)
        });
        let swept = swept.await.map_err(|e| Error::Unavailable(format!("pruning failed: {e}")))?;
        swept.map_err(Error::io("content cannot be pruned"))
    }
}

fn sweep(
    root: &Path,
    directory: &str,
    kept: &HashSet<String>,
    oldest: SystemTime,
    dry: bool,
    pruned: &mut Pruned,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = entry.metadata()?;
        if kept.contains(&name) || metadata.modified()? > oldest {
            continue;
        }
        let place = entry.path();
        if metadata.is_dir() {
            pruned.layers += 1;
            pruned.bytes += tree_size(&place)?;
        } else {
            pruned.blobs += 1;
            pruned.bytes += metadata.len();
        }
        if dry {
            continue;
        }
        if metadata.is_dir() {
            // Its name goes first, so that nobody finds half a layer.
            let doomed = root.join("new").join(format!("pruned-{name}"));
            std::fs::rename(&place, &doomed)?;
            std::fs::remove_dir_all(&doomed)?;
        } else {
            std::fs::remove_file(&place)?;
        }
    }
    Ok(())
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

//! Layers from blobs to directories, each once.

use std::path::{Path, PathBuf};

use super::Content;
use crate::layer::{Size, Unpacked, unpack_after};
use crate::{Digest, Error, Result};

/// Says, on an unpacked layer's directory, what it holds: bytes and entries. Not on layers that
/// were built here, whose builds have limits of their own.
const SIZE: &str = "user.dispatch.size";

impl Content {
    /// Unpacks a layer that is among the blobs, once.
    ///
    /// # Errors
    /// [`Error::Refused`] when the blob is not there, breaks a limit, holds what would leave its
    /// directory, or is not what its image says (`diff_id`).
    pub async fn unpack(&self, blob: &Digest, diff_id: &Digest) -> Result<PathBuf> {
        self.unpack_after(blob, diff_id, Size::default()).await.map(|(place, _)| place)
    }

    /// The same, for a layer of an image that has so much already; returns what it has then.
    pub(crate) async fn unpack_after(
        &self,
        blob: &Digest,
        diff_id: &Digest,
        before: Size,
    ) -> Result<(PathBuf, Size)> {
        let place = self.layer_path(diff_id);
        let turn = self.turn(diff_id.as_str());
        let _turn = turn.lock().await;
        let failed = || Error::io(format!("{} cannot be used", place.display()));
        if !self.found(&place).map_err(failed())? {
            let (content, to) = (self.clone(), place.clone());
            let (blob, diff_id) = (blob.clone(), diff_id.clone());
            let unpacked = tokio::task::spawn_blocking(move || {
                content.unpack_now(&blob, &diff_id, &to, before)
            });
            unpacked.await.map_err(|e| Error::Unavailable(format!("unpacking failed: {e}")))??;
        }
        let all = before.and(size(&place).map_err(failed())?, self.limits());
        Ok((place, all.map_err(|refusal| refusal.of(&format!("layer {blob}")))?))
    }

    fn unpack_now(&self, blob: &Digest, wanted: &Digest, to: &Path, before: Size) -> Result<()> {
        let scratch = self.scratch()?;
        let directory = scratch.path().join("layer");
        let file = std::fs::File::open(self.blob_path(blob));
        let file = file.map_err(|_| Error::refused(format!("layer {blob} is not here")))?;
        let unpacked = unpack_after(file, &directory, self.limits(), before);
        let Unpacked { diff_id, size } =
            unpacked.map_err(|refusal| refusal.of(&format!("layer {blob}")))?;
        if diff_id != *wanted {
            let text = format!("layer {blob} unpacks to {diff_id}, its image says {wanted}");
            return Err(Error::refused(text));
        }
        let text = format!("{} {}", size.bytes, size.entries);
        let kept = xattr::set(&directory, SIZE, text.as_bytes());
        kept.map_err(Error::io(format!("{} cannot be stored", to.display())))?;
        self.settle(&directory, to)
    }
}

fn size(layer: &Path) -> std::io::Result<Size> {
    let text = xattr::get(layer, SIZE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
    let mut next = || numbers.next().unwrap_or_default();
    Ok(Size { bytes: next(), entries: next() })
}

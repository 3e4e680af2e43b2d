//! The content store: blobs by their digest, and layers unpacked for mounting.
//!
//! One directory, used by one process:
//!
//! ```text
//! blobs/sha256/HEX   manifests, configurations, packed layers
//! layers/HEX         unpacked layers, by the digest of their uncompressed tar
//! built/HEX          which layer a build step made, by the digest of all that went in
//! new/               what is being written; emptied at every start
//! ```
//!
//! Nothing half is ever seen: what is complete gets its name by a rename, after it is on disk.

mod blob;
mod names;
mod prune;
mod root;
mod unpack;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use crate::digest::Hashing;
use crate::layer::Limits;
use crate::{Digest, Error, Result};

pub use blob::BlobWriter;
pub use prune::Pruned;

/// Bytes of a manifest or a configuration at most: 4 MiB, as registries have it.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// A content store; clones are the same one.
#[derive(Debug, Clone)]
pub struct Content(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    limits: Limits,
    /// One turn for each layer that is being unpacked or blob that is being fetched.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Images that deployments run on, by the digest of their manifest.
    users: Mutex<HashMap<Digest, usize>>,
    names: Mutex<()>,
}

impl Content {
    /// Opens a store, and deletes what a killed process left half-written.
    ///
    /// # Errors
    /// When the directory cannot be made or written to.
    pub fn open(root: &Path, limits: Limits) -> Result<Self> {
        let failed = |e| Error::Io(format!("{} cannot be used", root.display()), e);
        let new = root.join("new");
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(failed)?;
        }
        for directory in ["blobs/sha256", "layers", "built", "new"] {
            std::fs::create_dir_all(root.join(directory)).map_err(failed)?;
        }
        // Mounts are made elsewhere, so paths must not depend on where the server runs.
        let root = root.canonicalize().map_err(failed)?;
        let (turns, users, names) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { root, limits, turns, users, names })))
    }

    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.0.root.join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.0.root.join(name)
    }

    /// Whether a blob is there; then it is not pruned for now.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.found(&self.blob_path(digest)).unwrap_or(false)
    }

    /// Where an unpacked layer is, or would be.
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.0.root.join("layers").join(diff_id.hex())
    }

    /// A new directory on the store's own disk, which whoever asked for it removes.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        let made = tempfile::Builder::new().prefix("d").tempdir_in(self.0.root.join("new"));
        made.map_err(Error::io("a directory cannot be made"))
    }

    /// Stores bytes under their digest.
    pub async fn put(&self, bytes: impl AsRef<[u8]>) -> Result<Digest> {
        let bytes = bytes.as_ref();
        let mut writer = self.writer()?;
        writer.write(bytes)?;
        writer.finish(None).await.map(|(digest, _)| digest)
    }

    /// A blob to be written piece by piece.
    pub fn writer(&self) -> Result<BlobWriter> {
        BlobWriter::new(self.clone())
    }

    /// Takes over a file of its own disk as a blob.
    pub async fn adopt_blob(&self, file: &Path) -> Result<(Digest, u64)> {
        let (path, content) = (file.to_owned(), self.clone());
        let adopted = tokio::task::spawn_blocking(move || {
            let failed = || Error::io("a blob cannot be stored");
            let file = std::fs::File::open(&path).map_err(failed())?;
            let mut hashing = Hashing::new(file);
            let size = std::io::copy(&mut hashing, &mut std::io::sink()).map_err(failed())?;
            let (digest, file) = hashing.finish();
            let place = content.blob_path(&digest);
            let named = content.name(&file, &place, |place| {
                file.sync_all()?;
                std::fs::rename(&path, place)
            });
            named.map_err(failed())?;
            Ok((digest, size))
        });
        adopted.await.map_err(|e| Error::Unavailable(format!("a blob failed: {e}")))?
    }

    /// A manifest or configuration, checked against its digest.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is not there, is larger than [`MAX_DOCUMENT`] or was changed.
    pub async fn document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.blob_path(digest);
        let metadata = tokio::fs::metadata(&path).await;
        let size = metadata.map_err(|_| Error::refused(format!("{digest} is not here")))?.len();
        if size > MAX_DOCUMENT {
            let text = format!("{digest} has {size} bytes, a document at most {MAX_DOCUMENT}");
            return Err(Error::refused(text));
        }
        let read = tokio::fs::read(&path).await;
        let bytes = read.map_err(Error::io(format!("{digest} cannot be read")))?;
        match Digest::of(&bytes) == *digest {
            true => Ok(bytes),
            false => Err(Error::refused(format!("{digest} was changed on disk"))),
        }
    }

    /// Takes over a directory as the unpacked form of a layer that was just packed from it.
    pub async fn adopt(&self, directory: &Path, diff_id: &Digest) -> Result<PathBuf> {
        let place = self.layer_path(diff_id);
        let turn = self.turn(diff_id.as_str());
        let _turn = turn.lock().await;
        let (content, from, to) = (self.clone(), directory.to_owned(), place.clone());
        let settled = tokio::task::spawn_blocking(move || content.settle(&from, &to));
        settled.await.map_err(|e| Error::Unavailable(format!("a layer failed: {e}")))??;
        Ok(place)
    }

    /// The turn of whoever makes a thing of that name.
    pub(crate) fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.turns.lock().expect("nothing panics while it holds this lock");
        if let Some(turn) = turns.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(name.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// One user of an image more.
    pub fn hold(&self, manifest: &Digest) {
        *self.users().entry(manifest.clone()).or_default() += 1;
    }

    /// One less.
    pub fn release(&self, manifest: &Digest) {
        let mut users = self.users();
        if let Some(count) = users.get_mut(manifest) {
            *count -= 1;
            if *count == 0 {
                users.remove(manifest);
            }
        }
    }

    /// Gives a complete directory its name, once all of it is on disk.
    fn settle(&self, from: &Path, to: &Path) -> Result<()> {
        let failed = || Error::io(format!("{} cannot be stored", to.display()));
        let directory = std::fs::File::open(from).map_err(failed())?;
        rustix::fs::syncfs(&directory).map_err(|e| failed()(e.into()))?;
        self.name(&directory, to, |to| std::fs::rename(from, to)).map_err(failed())
    }

    fn users(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.users.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests;

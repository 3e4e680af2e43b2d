//! Blobs on their way in.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use super::Content;
use crate::{Digest, Error, Result};

/// A blob that gets its name when all of it was written. Dropped before, it leaves nothing.
pub struct BlobWriter {
    content: Content,
    file: Option<tempfile::NamedTempFile>,
    hasher: Sha256,
    size: u64,
}

impl BlobWriter {
    pub(super) fn new(content: Content) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("b").tempfile_in(content.0.root.join("new"));
        let file = Some(made.map_err(Error::io("a blob cannot be written"))?);
        Ok(Self { content, file, hasher: Sha256::new(), size: 0 })
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let file = self.file.as_mut().expect("it is there until the end");
        // A write to the page cache; nothing to make another thread wait for.
        file.write_all(bytes).map_err(Error::io("a blob cannot be written"))
    }

    /// Checks the blob against what it should be, and stores it.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is something else.
    pub async fn finish(mut self, expected: Option<(&Digest, u64)>) -> Result<(Digest, u64)> {
        let digest = Digest::finish(std::mem::take(&mut self.hasher));
        let size = self.size;
        match expected {
            Some((_, bytes)) if bytes != size => {
                let text = format!("{size} bytes came, {bytes} were announced");
                return Err(Error::refused(text));
            }
            Some((wanted, _)) if *wanted != digest => {
                return Err(Error::refused(format!("{wanted} was asked for, {digest} came")));
            }
            _ => {}
        }
        let place = self.content.blob_path(&digest);
        let file = self.file.take().expect("it is there until now");
        let stored = tokio::task::spawn_blocking(move || {
            if place.is_file() {
                // Whoever is pruning shall see that it is wanted again.
                let now = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now());
                return std::fs::File::options().write(true).open(&place)?.set_times(now);
            }
            file.as_file().sync_all()?;
            file.persist(&place).map(drop).map_err(|error| error.error)
        });
        let stored = stored.await.map_err(|e| Error::Unavailable(format!("a blob failed: {e}")))?;
        stored.map_err(Error::io(format!("{digest} cannot be stored")))?;
        Ok((digest, size))
    }
}

//! Blobs on their way in.

use std::io::{Read, Write as _};

use sha2::{Digest as _, Sha256};

use super::Content;
use crate::{Digest, Error, Result};

/// A blob that gets its name when all of it was written. Dropped before, it leaves nothing.
pub struct BlobWriter {
    content: Content,
    file: tempfile::NamedTempFile,
    hasher: Sha256,
    size: u64,
}

impl BlobWriter {
    pub(super) fn new(content: Content) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("b").tempfile_in(content.0.root.join("new"));
        let file = made.map_err(Error::io("a blob cannot be written"))?;
        Ok(Self { content, file, hasher: Sha256::new(), size: 0 })
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A write to the page cache; nothing to make another thread wait for.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::io("a blob cannot be written"))
    }

    /// Checks the blob against what it should be, and stores it.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is something else.
    pub async fn finish(self, expected: Option<(&Digest, u64)>) -> Result<(Digest, u64)> {
        let expected = expected.map(|(digest, size)| (digest.clone(), size));
        let stored = tokio::task::spawn_blocking(move || {
            self.store(expected.as_ref().map(|(digest, size)| (digest, *size)))
        });
        stored.await.map_err(|e| Error::Unavailable(format!("a blob failed: {e}")))?
    }

    /// Stores what a reader has, which must be what is expected; waits for the disk.
    pub(crate) fn copy(mut self, from: &mut dyn Read, digest: &Digest, size: u64) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        // One byte more than announced is enough to see that it is something else.
        let mut from = from.take(size.saturating_add(1));
        loop {
            match from.read(&mut buffer).map_err(Error::io("a blob cannot be read"))? {
                0 => return self.store(Some((digest, size))).map(drop),
                read => self.write(&buffer[..read])?,
            }
        }
    }

    fn store(self, expected: Option<(&Digest, u64)>) -> Result<(Digest, u64)> {
        let Self { content, file, hasher, size } = self;
        let digest = Digest::finish(hasher);
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
        let stored = content.name(file.as_file(), &content.blob_path(&digest), |place| {
            file.as_file().sync_all()?;
            std::fs::rename(file.path(), place)
        });
        stored.map_err(Error::io(format!("{digest} cannot be stored")))?;
        Ok((digest, size))
    }
}

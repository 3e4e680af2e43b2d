//! Archives read with a limit on what stands before each entry.
//!
//! The library keeps long names, extended attributes and the maps of sparse files in memory,
//! however many bytes an archive says they have.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use tar::{Archive, Entries, Entry};

/// Bytes of the headers of one entry at most: what `tar` and `docker` write is far below.
pub(crate) const MAX_HEADERS: u64 = 1 << 20;

/// Archives are made of blocks of so many bytes. What the last file leaves of its last one may be
/// missing: `umoci insert` leaves it out, and other readers do not mind.
const BLOCK: u64 = 512;

/// A reader that ends with an error when headers take too much of it.
pub(crate) struct Metered<R> {
    pub inner: R,
    left: Allowance,
    /// Where it stands.
    at: u64,
}

/// Bytes that may still be read.
#[derive(Clone)]
pub(crate) struct Allowance(Rc<Cell<u64>>);

impl<R> Metered<R> {
    pub fn new(inner: R) -> (Self, Allowance) {
        let left = Allowance(Rc::new(Cell::new(MAX_HEADERS)));
        (Self { inner, left: left.clone(), at: 0 }, left)
    }
}

impl Allowance {
    /// The next entry; what it holds may then be read without a limit, and has to be (or sought
    /// over) before the next call, or it counts as headers.
    pub fn next<'a, R: Read>(
        &self,
        entries: &mut Entries<'a, Metered<R>>,
    ) -> io::Result<Option<Entry<'a, Metered<R>>>> {
        self.0.set(MAX_HEADERS);
        let entry = entries.next().transpose()?;
        self.0.set(u64::MAX);
        Ok(entry)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.0.get();
        if left == 0 && !buffer.is_empty() {
            let text = format!("the headers of an entry have more than {MAX_HEADERS} bytes");
            return Err(io::Error::other(text));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let mut read = self.inner.read(&mut buffer[..most])?;
        if read == 0 && left == u64::MAX && !buffer.is_empty() {
            let text = "it is cut off in the middle of a file";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        if read == 0 {
            let missing = self.at.next_multiple_of(BLOCK) - self.at;
            read = most.min(usize::try_from(missing).unwrap_or(0));
            buffer[..read].fill(0);
        }
        self.at += read as u64;
        if left != u64::MAX {
            self.left.0.set(left - read as u64);
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.inner.seek(to)?;
        Ok(self.at)
    }
}

/// An archive and what limits its headers.
pub(crate) fn archive<R: Read>(inner: R) -> (Archive<Metered<R>>, Allowance) {
    let (metered, allowance) = Metered::new(inner);
    (Archive::new(metered), allowance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> io::Result<Vec<String>> {
        let (mut archive, allowance) = archive(bytes);
        let mut entries = archive.entries()?;
        let mut names = Vec::new();
        while let Some(mut entry) = allowance.next(&mut entries)? {
            io::copy(&mut entry, &mut io::sink())?;
            names.push(entry.path()?.display().to_string());
        }
        Ok(names)
    }

    #[test]
    fn the_last_block_may_be_cut_after_its_file_but_not_within() {
        let mut header = tar::Header::new_gnu();
        header.set_size(100);
        header.set_mode(0o644);
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["a", "b"] {
            tar.append_data(&mut header, name, &[b'x'; 100][..]).unwrap();
        }
        let whole = tar.into_inner().unwrap();
        let data = 3 * 512 + 100;
        for length in [whole.len(), 4 * 512, data, data + 7] {
            assert_eq!(names(&whole[..length]).unwrap(), ["a", "b"], "{length}");
        }
        for length in [data - 1, 2 * 512 + 1, 3 * 512 - 1] {
            assert!(names(&whole[..length]).is_err(), "{length}");
        }
    }
}

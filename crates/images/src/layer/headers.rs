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

/// A reader that ends with an error when headers take too much of it.
pub(crate) struct Metered<R> {
    pub inner: R,
    left: Allowance,
}

/// Bytes that may still be read.
#[derive(Clone)]
pub(crate) struct Allowance(Rc<Cell<u64>>);

impl<R> Metered<R> {
    pub fn new(inner: R) -> (Self, Allowance) {
        let left = Allowance(Rc::new(Cell::new(MAX_HEADERS)));
        (Self { inner, left: left.clone() }, left)
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
        let read = self.inner.read(&mut buffer[..most])?;
        if left != u64::MAX {
            self.left.0.set(left - read as u64);
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// An archive and what limits its headers.
pub(crate) fn archive<R: Read>(inner: R) -> (Archive<Metered<R>>, Allowance) {
    let (metered, allowance) = Metered::new(inner);
    (Archive::new(metered), allowance)
}

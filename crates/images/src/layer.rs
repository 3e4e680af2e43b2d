//! Layers: tar archives with what one step of an image adds and takes away.
//!
//! Packed, they say what they take away by names (`.wh.NAME`, `.wh..wh..opq`: OCI's image layer
//! specification); unpacked, as overlayfs wants it: a character device 0:0 for a name that is gone,
//! the attribute `user.overlay.opaque` on a directory whose lower content is.

mod headers;
mod place;
mod unpack;
mod write;

use crate::{Digest, Error};

pub(crate) use headers::archive;
pub(crate) use unpack::unpack_after;
pub use unpack::{Unpacked, unpack};
pub use write::{Packed, pack};

pub(crate) const OPAQUE: &str = "user.overlay.opaque";
pub(crate) const WHITEOUT: &str = ".wh.";
pub(crate) const WHITEOUT_OPAQUE: &str = ".wh..wh..opq";

/// What an image may hold, all its layers together, and to whom it belongs once it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub max_bytes: u64,
    pub max_entries: u64,
    /// User and group of everything in it, for a server that may give files away.
    pub owner: Option<(u32, u32)>,
}

/// What a layer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Of its files.
    pub bytes: u64,
    pub entries: u64,
}

impl Size {
    /// Together with more of an image.
    pub(crate) fn and(self, more: Size, limits: &Limits) -> Result<Self, Refusal> {
        let bytes = self.bytes.saturating_add(more.bytes);
        let entries = self.entries.saturating_add(more.entries);
        let (most, many) = (limits.max_bytes, limits.max_entries);
        if bytes > most {
            let text = format!("the image's files have more than {most} bytes together");
            return Err(Refusal::Rule(text));
        }
        if entries > many {
            return Err(Refusal::Rule(format!("the image has more than {many} entries")));
        }
        Ok(Size { bytes, entries })
    }
}

/// Longest path in a layer, in bytes: the kernel's own limit.
pub(crate) const MAX_PATH: usize = 4096;

/// Why a layer cannot be unpacked.
#[derive(Debug)]
pub enum Refusal {
    Rule(String),
    Io(std::io::Error),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Refusal::Io(error)
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        Refusal::Io(error.into())
    }
}

impl Refusal {
    /// As the error of a named layer.
    pub fn of(self, what: &str) -> Error {
        match self {
            Refusal::Rule(rule) => Error::refused(format!("{what}: {rule}")),
            // What the archive's reader says is about the archive; the rest is the disk's.
            Refusal::Io(error) if error.raw_os_error().is_none() => {
                Error::refused(format!("{what} is damaged: {error}"))
            }
            Refusal::Io(error) => Error::Io(what.to_owned(), error),
        }
    }
}

/// A layer that was just packed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewLayer {
    pub digest: Digest,
    /// Bytes, compressed.
    pub size: u64,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// What made it, for the image's history.
    pub created_by: String,
}

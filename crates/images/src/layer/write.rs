//! A directory becomes a packed layer: the same directory always the same bytes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header, HeaderMode};

use super::{OPAQUE, WHITEOUT, WHITEOUT_OPAQUE};
use crate::Digest;
use crate::digest::Hashing;

/// The time of everything in a layer we make: the first that zip archives can tell (1980-01-01), in
/// unix seconds.
const TIME: u64 = 315_532_800;

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Packs a directory (the upper one of an overlay, or any) as a layer with that content at `prefix`
/// (relative; empty for the root), gzip-compressed: sorted, of one time and owner, without the
/// names of anything outside it. Sockets, pipes and devices are left out.
///
/// # Errors
/// What reading the directory or writing says.
pub fn pack(directory: &Path, prefix: &Path, to: impl Write) -> io::Result<Packed> {
    let zipped = GzBuilder::new().mtime(0).write(to, Compression::new(6));
    let mut builder = Builder::new(Hashing::new(zipped));
    builder.mode(HeaderMode::Deterministic);
    let mut packing = Packing { builder, links: HashMap::new(), bytes: 0 };
    for above in prefix.ancestors().collect::<Vec<_>>().into_iter().rev() {
        if !above.as_os_str().is_empty() {
            packing.add_directory(above, 0o755)?;
        }
    }
    packing.directory(directory, prefix)?;
    let Packing { builder, bytes, .. } = packing;
    let (diff_id, zipped) = builder.into_inner()?.finish();
    zipped.finish()?.flush()?;
    Ok(Packed { diff_id, bytes })
}

struct Packing<W: Write> {
    builder: Builder<W>,
    /// Files with several names, by device and inode: the first name they were packed by.
    links: HashMap<(u64, u64), PathBuf>,
    bytes: u64,
}

impl<W: Write> Packing<W> {
    fn directory(&mut self, directory: &Path, name: &Path) -> io::Result<()> {
        if matches!(xattr::get(directory, OPAQUE), Ok(Some(value)) if value == b"y") {
            self.add_empty(&name.join(WHITEOUT_OPAQUE))?;
        }
        let mut entries = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            self.entry(&entry.path(), &name.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn entry(&mut self, place: &Path, name: &Path) -> io::Result<()> {
        let metadata = place.symlink_metadata()?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.add_directory(name, metadata.mode() & 0o1777)?;
            return self.directory(place, name);
        }
        if kind.is_char_device() && metadata.rdev() == 0 {
            let file = name.file_name().unwrap_or_default().as_bytes();
            let gone = [WHITEOUT.as_bytes(), file].concat();
            return self.add_empty(&name.with_file_name(std::ffi::OsStr::from_bytes(&gone)));
        }
        if kind.is_symlink() {
            let mut header = header(EntryType::Symlink, 0o777);
            return self.builder.append_link(&mut header, name, std::fs::read_link(place)?);
        }
        if !kind.is_file() {
            return Ok(());
        }
        if metadata.nlink() > 1 {
            let known = self.links.entry((metadata.dev(), metadata.ino()));
            if let std::collections::hash_map::Entry::Occupied(first) = &known {
                let mut header = header(EntryType::Link, metadata.mode() & 0o777);
                return self.builder.append_link(&mut header, name, first.get());
            }
            known.or_insert(name.to_owned());
        }
        self.bytes += metadata.len();
        let mut header = header(EntryType::Regular, metadata.mode() & 0o777);
        header.set_size(metadata.len());
        let file = std::fs::File::open(place)?;
        self.builder.append_data(&mut header, name, file)
    }

    fn add_directory(&mut self, name: &Path, mode: u32) -> io::Result<()> {
        let mut header = header(EntryType::Directory, mode);
        // As everybody writes directories: with a slash at the end.
        let mut name = name.as_os_str().to_owned();
        name.push("/");
        self.builder.append_data(&mut header, name, io::empty())
    }

    fn add_empty(&mut self, name: &Path) -> io::Result<()> {
        let mut header = header(EntryType::Regular, 0o644);
        self.builder.append_data(&mut header, name, io::empty())
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

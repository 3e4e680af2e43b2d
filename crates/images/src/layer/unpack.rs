//! A packed layer becomes a directory that overlayfs can mount.

use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use rustix::fs::{AtFlags, Mode, OFlags};
use tar::{Entry, EntryType};

use super::headers::archive;
use super::place::{Inside, Place, inside};
use super::{Limits, Refusal, Size, WHITEOUT, WHITEOUT_OPAQUE};
use crate::Digest;
use crate::digest::Hashing;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Directories, and files nobody may execute as somebody else.
const PERMISSIONS: u32 = 0o1777;

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    pub size: Size,
}

/// Unpacks a layer, gzip, zstd or plain, into a directory that it makes.
///
/// Everything in it then belongs to [`Limits::owner`]; rights to run as somebody else, devices,
/// pipes and extended attributes are left out.
///
/// # Errors
/// A rule when the archive breaks a limit, is damaged or leads out of the directory; what is there
/// by then is the caller's to delete.
pub fn unpack(file: std::fs::File, to: &Path, limits: &Limits) -> Result<Unpacked, Refusal> {
    unpack_after(file, to, limits, Size::default())
}

/// The same, for a layer of an image that has so much already.
pub(crate) fn unpack_after(
    file: std::fs::File,
    to: &Path,
    limits: &Limits,
    before: Size,
) -> Result<Unpacked, Refusal> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let magic = io::BufRead::fill_buf(&mut reader)?;
    let plain: Box<dyn Read> = match magic {
        m if m.starts_with(GZIP) => Box::new(MultiGzDecoder::new(reader)),
        m if m.starts_with(ZSTD) => Box::new(zstd::Decoder::new(reader)?),
        _ => Box::new(reader),
    };
    // A tar has a header for each file and fills up its last block: more than twice what its files
    // may have, and the room for headers, is something else.
    let most = limits.max_bytes.saturating_add(limits.max_entries.saturating_mul(4096));
    let (mut archive, allowance) = archive(Hashing::new(plain.take(most.saturating_add(1))));
    let mut unpacking = Unpacking { place: Place::new(to, limits.owner)?, limits, all: before };
    let mut entries = archive.entries()?;
    while let Some(mut entry) = allowance.next(&mut entries)? {
        unpacking.entry(&mut entry)?;
        // What nobody wanted of it is no header of the next one.
        io::copy(&mut entry, &mut io::sink())?;
    }
    let all = unpacking.all;
    let mut hashed = archive.into_inner().inner;
    // The digest is of all of it, also what stands behind the last entry.
    io::copy(&mut hashed, &mut io::sink())?;
    let (diff_id, plain) = hashed.finish();
    if plain.limit() == 0 {
        return Err(Refusal::Rule(format!("it unpacks to more than {most} bytes")));
    }
    let (bytes, entries) = (all.bytes - before.bytes, all.entries - before.entries);
    Ok(Unpacked { diff_id, size: Size { bytes, entries } })
}

struct Unpacking<'a> {
    place: Place,
    limits: &'a Limits,
    /// Of the image, up to here.
    all: Size,
}

impl Unpacking<'_> {
    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Refusal> {
        self.all = self.all.and(Size { bytes: 0, entries: 1 }, self.limits)?;
        let path = entry.path()?.into_owned();
        let Some(Inside { parent, name }) = inside(&path)? else { return Ok(()) };
        let directory = self.place.parent(&parent)?;
        if let Some(gone) = name.as_bytes().strip_prefix(WHITEOUT.as_bytes()) {
            // Nobody counts the zeros such a file would have.
            if entry.header().entry_type() == EntryType::GNUSparse {
                return Err(Refusal::Rule(format!("{} is a sparse file", path.display())));
            }
            return match name.as_bytes() {
                b if b == WHITEOUT_OPAQUE.as_bytes() => self.opaque(&parent),
                // Notes of a union file system that nobody uses any more.
                _ if gone.starts_with(WHITEOUT.as_bytes()) => Ok(()),
                _ if gone.is_empty() || gone == b"." || gone == b".." => {
                    Err(Refusal::Rule(format!("{} takes nothing away", path.display())))
                }
                _ => self.place.whiteout(directory, OsStr::from_bytes(gone)),
            };
        }
        let mode = Mode::from(entry.header().mode()? & PERMISSIONS);
        match entry.header().entry_type() {
            EntryType::Directory => self.directory(&directory, name, mode)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.file(entry, &directory, name, mode)?;
            }
            EntryType::Symlink => {
                let target = target(entry)?;
                self.place.clear(&directory, name)?;
                rustix::fs::symlinkat(target.as_path(), &directory, name)?;
                self.place.own(&directory, name)?;
            }
            EntryType::Link => return self.link(&target(entry)?, &directory, name),
            // Nothing of a device or a pipe is needed to run a program.
            _ => return Ok(()),
        }
        if entry.header().entry_type() != EntryType::Directory {
            touch(&directory, name, entry.header().mtime()?)?;
        }
        Ok(())
    }

    fn opaque(&mut self, directory: &Path) -> Result<(), Refusal> {
        match inside(directory)? {
            Some(Inside { parent, name }) => {
                let above = self.place.parent(&parent)?;
                self.place.opaque(above, name)
            }
            // The root: there is nothing below a layer's own root that could be hidden by part.
            None => Err(Refusal::Rule("it hides all lower layers at once".to_owned())),
        }
    }

    fn directory(
        &mut self,
        parent: &impl std::os::fd::AsFd,
        name: &OsStr,
        mode: Mode,
    ) -> Result<(), Refusal> {
        if !self.place.is_directory(parent, name)? {
            let was_gone = self.place.clear(parent, name)?;
            rustix::fs::mkdirat(parent, name, Mode::from(0o755))?;
            self.place.own(parent, name)?;
            if was_gone {
                self.place.opaque(parent, name)?;
            }
        }
        // Its owner has to get into it, or the layer could be neither read nor deleted.
        let mode = mode | Mode::from(0o700);
        Ok(rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?)
    }

    fn file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        parent: &impl std::os::fd::AsFd,
        name: &OsStr,
        mode: Mode,
    ) -> Result<(), Refusal> {
        let size = entry.size();
        self.all = self.all.and(Size { bytes: size, entries: 0 }, self.limits)?;
        self.place.clear(parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let opened = rustix::fs::openat(parent, name, flags | OFlags::CLOEXEC, Mode::from(0o600))?;
        let mut file = std::fs::File::from(opened);
        let written = io::copy(entry, &mut file)?;
        if written != size {
            return Err(Refusal::Rule(format!("{} ends too soon", name.to_string_lossy())));
        }
        file.flush()?;
        rustix::fs::fchmod(&file, mode | Mode::from(0o400))?;
        self.place.own(parent, name)
    }

    fn link(
        &mut self,
        target: &Path,
        parent: &impl std::os::fd::AsFd,
        name: &OsStr,
    ) -> Result<(), Refusal> {
        let missing = || {
            let text = format!("{} links to {target:?}, which it has not", name.to_string_lossy());
            Refusal::Rule(text)
        };
        let Some(Inside { parent: above, name: old }) = inside(target)? else {
            return Err(missing());
        };
        let above = self.place.directory(&above).map_err(|_| missing())?;
        self.place.clear(parent, name)?;
        rustix::fs::linkat(above, old, parent, name, AtFlags::empty()).map_err(|_| missing())
    }
}

fn target<R: Read>(entry: &Entry<'_, R>) -> Result<std::path::PathBuf, Refusal> {
    let name = entry.link_name()?;
    name.map(|name| name.into_owned()).ok_or_else(|| Refusal::Rule("a link to nothing".to_owned()))
}

/// Sets the time of a file: interpreters compare it with what they compiled from it.
fn touch(parent: impl std::os::fd::AsFd, name: &OsStr, seconds: u64) -> Result<(), Refusal> {
    let sane = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX)));
    let since = sane.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = rustix::fs::Timespec { tv_sec: since.as_secs() as i64, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

//! Making files below a directory, wherever links in it point.
//!
//! Every path is looked up by the kernel with the directory as its root, so that no link, absolute
//! or relative, leads out of it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{MAX_PATH, OPAQUE, Refusal};

/// Bytes of a path that a name, and the place the layer gets at last, need.
const MAX_ABOVE: usize = 512;

/// The root of a layer that is being unpacked.
pub struct Place {
    root: OwnedFd,
    owner: Option<(u32, u32)>,
    /// The directory entries came in last, which most come in again.
    parent: Option<(PathBuf, OwnedFd)>,
}

/// A path of the layer, split into the directory and the name in it.
pub struct Inside<'a> {
    pub parent: PathBuf,
    pub name: &'a OsStr,
}

/// Splits a path of an archive; `None` for the root itself.
pub fn inside(path: &Path) -> Result<Option<Inside<'_>>, Refusal> {
    let shown = path.display();
    if path.as_os_str().len() > MAX_PATH {
        return Err(Refusal::Rule(format!("a path has more than {MAX_PATH} bytes")));
    }
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            // Written so by many; it means the root of the layer.
            Component::RootDir | Component::CurDir => {}
            _ => return Err(Refusal::Rule(format!("{shown} leads out of the layer"))),
        }
    }
    let Some(name) = parts.pop() else { return Ok(None) };
    Ok(Some(Inside { parent: parts.iter().collect(), name }))
}

impl Place {
    /// Makes the directory and starts there.
    pub fn new(directory: &Path, owner: Option<(u32, u32)>) -> Result<Self, Refusal> {
        std::fs::create_dir(directory)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(directory, flags, Mode::empty())?;
        let place = Self { root, owner, parent: None };
        rustix::fs::chmodat(&place.root, ".", Mode::from(0o755), AtFlags::empty())?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(directory, Some(uid), Some(gid))?;
        }
        Ok(place)
    }

    /// The directory of an entry, made with those above it where need be.
    pub fn parent(&mut self, path: &Path) -> Result<OwnedFd, Refusal> {
        if let Some((known, directory)) = &self.parent
            && known == path
        {
            return Ok(rustix::io::fcntl_dupfd_cloexec(directory, 0)?);
        }
        let directory = match self.directory(path) {
            Err(Errno::NOENT) => self.make(path)?,
            other => other.map_err(|e| refused(path, e))?,
        };
        self.check_depth(&directory, path)?;
        self.parent = Some((path.to_owned(), rustix::io::fcntl_dupfd_cloexec(&directory, 0)?));
        Ok(directory)
    }

    /// Through links, short paths make deep directories; those that no path reaches could be
    /// neither read nor deleted.
    fn check_depth(&self, directory: &OwnedFd, shown: &Path) -> Result<(), Refusal> {
        let real = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let too_deep = match rustix::fs::readlink(real, Vec::new()) {
            Ok(real) => real.as_bytes().len() > MAX_PATH - MAX_ABOVE,
            Err(Errno::NAMETOOLONG) => true,
            Err(error) => return Err(error.into()),
        };
        match too_deep {
            true => Err(Refusal::Rule(format!("{} is deeper than paths go", shown.display()))),
            false => Ok(()),
        }
    }

    /// A directory that has to be there.
    pub fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    fn make(&self, path: &Path) -> Result<OwnedFd, Refusal> {
        let mut so_far = PathBuf::new();
        let mut above = self.directory(&so_far)?;
        for part in path {
            so_far.push(part);
            above = match self.directory(&so_far) {
                Ok(directory) => directory,
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(&above, part, Mode::from(0o755))
                        .map_err(|e| refused(&so_far, e))?;
                    self.own(&above, part)?;
                    self.directory(&so_far)?
                }
                Err(error) => return Err(refused(&so_far, error)),
            };
        }
        Ok(above)
    }

    /// What was known of directories may not be so any more.
    pub fn forget(&mut self) {
        self.parent = None;
    }

    pub fn own(&self, parent: impl AsFd, name: &OsStr) -> Result<(), Refusal> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)?)
    }

    /// Takes away what has a name, so that something else can have it. True when that was a name
    /// taken away from lower layers.
    pub fn clear(&mut self, parent: impl AsFd, name: &OsStr) -> Result<bool, Refusal> {
        let there = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            other => other?,
        };
        let kind = FileType::from_raw_mode(there.st_mode);
        self.forget();
        if kind == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
            self.empty(&directory)?;
            rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?;
        } else {
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
        }
        Ok(kind == FileType::CharacterDevice && there.st_rdev == 0)
    }

    fn empty(&mut self, directory: &OwnedFd) -> Result<(), Refusal> {
        let entries = rustix::fs::Dir::read_from(directory)?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                self.clear(directory, OsStr::from_bytes(name))?;
            }
        }
        Ok(())
    }

    /// Whether there is a directory of that name.
    pub fn is_directory(&self, parent: impl AsFd, name: &OsStr) -> Result<bool, Refusal> {
        match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Hides what lower layers have in a directory.
    pub fn opaque(&self, parent: impl AsFd, name: &OsStr) -> Result<(), Refusal> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let set = rustix::fs::fsetxattr(&directory, OPAQUE, b"y", rustix::fs::XattrFlags::empty());
        Ok(set?)
    }

    /// Takes a name away from lower layers.
    pub fn whiteout(&mut self, parent: impl AsFd, name: &OsStr) -> Result<(), Refusal> {
        // What this layer has of that name stays, but alone.
        if self.is_directory(&parent, name)? {
            return self.opaque(parent, name);
        }
        let device = rustix::fs::makedev(0, 0);
        let kind = FileType::CharacterDevice;
        match rustix::fs::mknodat(&parent, name, kind, Mode::from(0o600), device) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn refused(path: &Path, error: Errno) -> Refusal {
    match error {
        Errno::NOTDIR | Errno::LOOP | Errno::XDEV => {
            let text = format!("{} goes through what is no directory of it", path.display());
            Refusal::Rule(text)
        }
        error => Refusal::Io(error.into()),
    }
}

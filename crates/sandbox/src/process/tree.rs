//! Unpacked layers as one directory, for machines that allow no overlays.

pub mod changes;

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Timespec, Timestamps};

/// On a directory: nothing of the layers below is seen through it.
pub const OPAQUE: &str = "user.overlay.opaque";

/// How files get into a copy.
#[derive(Clone, Copy, PartialEq)]
enum Files {
    /// By a link where that can be, so nobody may write to them.
    Linked,
    Copied,
}

/// Writes what an overlay of the layers would show, the lowest first, to a new directory that
/// nobody may write to.
///
/// # Errors
/// What the file system says; half a copy is left behind then.
pub fn merge(layers: &[PathBuf], target: &Path) -> io::Result<()> {
    write(layers, target, Files::Linked)
}

fn write(layers: &[PathBuf], target: &Path, files: Files) -> io::Result<()> {
    fs::create_dir(target)?;
    // A directory that may not be written is still to be filled.
    let mut modes = BTreeMap::new();
    for layer in layers {
        add(layer, target, files, &mut modes)?;
    }
    for (directory, mode) in modes.into_iter().rev() {
        fs::set_permissions(directory, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

fn add(
    layer: &Path,
    target: &Path,
    files: Files,
    modes: &mut BTreeMap<PathBuf, u32>,
) -> io::Result<()> {
    modes.insert(target.to_owned(), fs::symlink_metadata(layer)?.mode() & 0o1777);
    for entry in fs::read_dir(layer)? {
        let entry = entry?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let found = entry.metadata()?;
        let below = fs::symlink_metadata(&to).ok();
        let stays =
            found.is_dir() && !is_opaque(&from) && below.as_ref().is_some_and(Metadata::is_dir);
        if below.is_some() && !stays {
            modes.retain(|directory, _| !directory.starts_with(&to));
            remove(&to)?;
        }
        if is_whiteout(&found) {
            continue;
        }
        if found.is_dir() {
            if !stays {
                fs::create_dir(&to)?;
                own(&to, &found)?;
            }
            add(&from, &to, files, modes)?;
        } else if files == Files::Copied || fs::hard_link(&from, &to).is_err() {
            copy(&from, &to, &found)?;
        }
    }
    Ok(())
}

/// Copies what is no directory, with its times; a pipe or socket has no use in an image.
fn copy(from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
    if found.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if found.is_file() {
        fs::copy(from, to)?;
    } else {
        return Ok(());
    }
    own(to, found)?;
    let time = Timespec { tv_sec: found.mtime(), tv_nsec: found.mtime_nsec() as _ };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(rustix::fs::CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives it the owner of what it was made from, which only root can and has to do.
fn own(path: &Path, found: &Metadata) -> io::Result<()> {
    if fs::symlink_metadata(path)?.uid() == found.uid() {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(found.uid()), Some(found.gid()))
}

pub fn is_whiteout(found: &Metadata) -> bool {
    found.file_type().is_char_device() && found.rdev() == 0
}

pub fn is_opaque(directory: &Path) -> bool {
    let mut value = [0; 2];
    matches!(rustix::fs::lgetxattr(directory, OPAQUE, &mut value), Ok(1) if value[0] == b'y')
}

/// Removes a file, or a directory with all in it, also what its owner may not enter.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    fs::set_permissions(path, PermissionsExt::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(layer: &Path, path: &str, text: &str) {
        let place = layer.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    fn whiteout(path: &Path) {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let device = rustix::fs::makedev(0, 0);
        mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), device).unwrap();
    }

    #[test]
    fn layers_cover_and_take_away() {
        let directory = tempfile::tempdir().unwrap();
        let (low, high) = (directory.path().join("low"), directory.path().join("high"));
        for (path, text) in [("etc/a", "low"), ("etc/b", "b"), ("opt/c", "c"), ("was/d", "d")] {
            write(&low, path, text);
        }
        fs::set_permissions(low.join("opt"), PermissionsExt::from_mode(0o555)).unwrap();
        write(&high, "etc/a", "high");
        write(&high, "opt/new", "new");
        write(&high, "was", "a file now");
        whiteout(&high.join("etc/b"));
        rustix::fs::setxattr(high.join("opt"), OPAQUE, b"y", rustix::fs::XattrFlags::empty())
            .unwrap();
        let target = directory.path().join("target");
        merge(&[low.clone(), high], &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("etc/a")).unwrap(), "high");
        assert_eq!(fs::read_to_string(target.join("was")).unwrap(), "a file now");
        assert_eq!(fs::read_to_string(target.join("opt/new")).unwrap(), "new");
        assert!(!target.join("etc/b").exists() && !target.join("opt/c").exists());
        fs::set_permissions(target.join("etc"), PermissionsExt::from_mode(0o000)).unwrap();
        remove(&target).unwrap();
        assert!(!target.exists());
        assert_eq!(fs::read_to_string(low.join("etc/a")).unwrap(), "low");
    }
}

//! What changed in a copy of layers, in the form in which an overlay keeps it.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

use super::OPAQUE;

/// Whatever is done to a file changes one of these, its content, its mode or its place.
#[derive(Debug, PartialEq)]
struct Mark {
    inode: u64,
    /// A number may be given again at once to what takes the place of what is gone.
    born: Option<SystemTime>,
    directory: bool,
    mode: u32,
    changed: (i64, i64),
}

/// How a copy was, by path.
#[derive(Debug)]
pub struct Seen(BTreeMap<PathBuf, Mark>);

/// Copies what the layers show, the lowest first, so that it may be written.
pub fn copy(layers: &[PathBuf], target: &Path) -> io::Result<Seen> {
    super::write(layers, target, super::Files::Copied)?;
    let mut seen = BTreeMap::new();
    look(target, Path::new(""), &mut seen)?;
    Ok(Seen(seen))
}

fn look(root: &Path, below: &Path, seen: &mut BTreeMap<PathBuf, Mark>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let (path, found) = of(below, entry?)?;
        if found.is_dir() {
            look(root, &path, seen)?;
        }
        seen.insert(path, mark(&found));
    }
    Ok(())
}

impl Seen {
    /// Moves what changed since to `upper`, with whiteouts for what is gone.
    pub fn collect(&self, copy: &Path, upper: &Path) -> io::Result<()> {
        let mut gone: BTreeMap<&Path, bool> =
            self.0.iter().map(|(path, mark)| (path.as_path(), mark.directory)).collect();
        self.bring(copy, upper, Path::new(""), &mut gone)?;
        let missing: Vec<&Path> = gone.keys().copied().collect();
        for path in missing {
            // What is gone with its directory needs no whiteout of its own.
            let parent = path.parent().unwrap_or(Path::new(""));
            if !parent.as_os_str().is_empty() && gone.contains_key(parent) {
                continue;
            }
            directories(copy, upper, parent)?;
            mknodat(
                CWD,
                upper.join(path),
                FileType::CharacterDevice,
                Mode::empty(),
                makedev(0, 0),
            )?;
        }
        Ok(())
    }

    fn bring<'a>(
        &'a self,
        copy: &Path,
        upper: &Path,
        below: &Path,
        gone: &mut BTreeMap<&'a Path, bool>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(copy.join(below))? {
            let (path, found) = of(below, entry?)?;
            let before = self.0.get(&path);
            gone.remove(path.as_path());
            let target = upper.join(&path);
            if !found.is_dir() {
                if before != Some(&mark(&found)) {
                    directories(copy, upper, below)?;
                    fs::rename(copy.join(&path), target)?;
                }
                continue;
            }
            let now = mark(&found);
            let same =
                before.is_some_and(|b| b.directory && (b.inode, b.born) == (now.inode, now.born));
            if !same {
                // It took the place of what was there, whose content must not shine through.
                directories(copy, upper, below)?;
                fs::rename(copy.join(&path), &target)?;
                if before.is_some() {
                    setxattr(&target, OPAQUE, b"y", XattrFlags::empty())?;
                }
                gone.retain(|left, _| !left.starts_with(&path));
                continue;
            }
            if before.is_some_and(|b| b.mode != found.mode()) {
                directories(copy, upper, &path)?;
            }
            self.bring(copy, upper, &path, gone)?;
        }
        Ok(())
    }
}

/// Makes a directory in `upper`, and those above it, with the modes they have in the copy.
fn directories(copy: &Path, upper: &Path, path: &Path) -> io::Result<()> {
    let above: Vec<_> = path.ancestors().filter(|p| !p.as_os_str().is_empty()).collect();
    for path in above.into_iter().rev().filter(|path| !upper.join(path).exists()) {
        let found = fs::symlink_metadata(copy.join(path))?;
        fs::create_dir(upper.join(path))?;
        super::own(&upper.join(path), &found)?;
        fs::set_permissions(upper.join(path), PermissionsExt::from_mode(found.mode() & 0o7777))?;
    }
    Ok(())
}

fn of(below: &Path, entry: fs::DirEntry) -> io::Result<(PathBuf, Metadata)> {
    Ok((below.join(entry.file_name()), entry.metadata()?))
}

fn mark(found: &Metadata) -> Mark {
    let changed = (found.ctime(), found.ctime_nsec());
    let (inode, born) = (found.ino(), found.created().ok());
    Mark { inode, born, directory: found.is_dir(), mode: found.mode(), changed }
}

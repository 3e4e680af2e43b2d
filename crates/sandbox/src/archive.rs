//! Unpacks the source of a function: a tar.gz archive from somebody we do not trust.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Entry, EntryType};

/// What an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_entries: u64,
    /// Of everything together, unpacked.
    pub max_bytes: u64,
    /// Unpacked against packed size, once more than a MiB is unpacked.
    pub max_ratio: u64,
    pub max_path_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 512 << 20, max_ratio: 200, max_path_bytes: 1_024 }
    }
}

/// Ratios of tiny archives say nothing.
const RATIO_FROM_BYTES: u64 = 1 << 20;

/// Why an archive is refused; names the entry and the rule.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the archive's entry {entry:?} {rule}")]
    Refused { entry: String, rule: String },
    #[error("the archive is damaged: {0}")]
    Damaged(io::Error),
    #[error("the archive cannot be unpacked: {0}")]
    Io(#[from] io::Error),
}

/// Whether bytes are a compressed archive and not a single file.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Puts a source into `directory`, which must not exist yet: an archive unpacked, anything else as
/// the file `name`. Everybody may read it.
///
/// # Errors
/// As [`unpack`].
pub fn place(bytes: &[u8], name: &str, directory: &Path) -> Result<(), ArchiveError> {
    if is_archive(bytes) {
        return unpack(bytes, directory, &Limits::default());
    }
    fs::create_dir(directory)?;
    fs::write(directory.join(name), bytes)?;
    // A worker is another user when the server is root; a single file may be an executable.
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory, everybody.clone())?;
    fs::set_permissions(directory.join(name), everybody)?;
    Ok(())
}

/// Unpacks into `destination`, which must not exist yet; on failure it does not exist either.
///
/// # Errors
/// [`ArchiveError::Refused`] for an entry that breaks a rule.
pub fn unpack(bytes: &[u8], destination: &Path, limits: &Limits) -> Result<(), ArchiveError> {
    directory(destination)?;
    let unpacked = Unpack { destination, limits, packed: bytes.len() as u64, bytes: 0 }.run(bytes);
    if unpacked.is_err() {
        // What the caller wants to know is the first error.
        let _ = fs::remove_dir_all(destination);
    }
    unpacked
}

struct Unpack<'a> {
    destination: &'a Path,
    limits: &'a Limits,
    packed: u64,
    bytes: u64,
}

impl Unpack<'_> {
    fn run(mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        // Headers count as well: long names and padding can be a bomb of their own.
        let most = self.limits.max_bytes + self.limits.max_entries * 1_024 + RATIO_FROM_BYTES;
        let mut archive = tar::Archive::new(GzDecoder::new(bytes).take(most));
        let mut links = Vec::new();
        let mut count = 0;
        for entry in archive.entries().map_err(ArchiveError::Damaged)? {
            let mut entry = entry.map_err(ArchiveError::Damaged)?;
            count += 1;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let refuse = |rule: String| ArchiveError::Refused { entry: shorten(&name), rule };
            if count > self.limits.max_entries {
                let most = self.limits.max_entries;
                return Err(refuse(format!("is one too many: {most} entries are allowed")));
            }
            if entry.path_bytes().len() > self.limits.max_path_bytes {
                let most = self.limits.max_path_bytes;
                return Err(refuse(format!("has a name longer than {most} bytes")));
            }
            let path = inside(&name).map_err(&refuse)?;
            if path.as_os_str().is_empty() {
                continue;
            }
            match entry.header().entry_type() {
                EntryType::Directory => {
                    self.make_directory(&path).map_err(|e| e.named(&name))?;
                }
                EntryType::Regular | EntryType::Continuous => {
                    self.file(&mut entry, &path).map_err(|e| e.named(&name))?;
                }
                EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    stays_inside(&path, &target).map_err(&refuse)?;
                    links.push((path, target));
                }
                EntryType::XGlobalHeader => {}
                EntryType::Link => return Err(refuse("is a hard link, which is refused".into())),
                EntryType::Fifo => return Err(refuse("is a fifo, which is refused".into())),
                EntryType::Char | EntryType::Block => {
                    return Err(refuse("is a device, which is refused".into()));
                }
                kind => return Err(refuse(format!("is of an unknown kind ({kind:?})"))),
            }
        }
        // Last, so that nothing is ever written through a link.
        for (path, target) in links {
            let at = self.destination.join(&path);
            let parent = path.parent().unwrap_or(Path::new(""));
            self.make_directory(parent).map_err(|e| e.named(&path.to_string_lossy()))?;
            std::os::unix::fs::symlink(target, at)?;
        }
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> Result<(), Unfit> {
        directory(&self.destination.join(path)).map_err(Unfit::Io)
    }

    fn file(&mut self, entry: &mut Entry<'_, impl Read>, path: &Path) -> Result<(), Unfit> {
        let declared = entry.size();
        self.bytes = self.bytes.saturating_add(declared);
        if self.bytes > self.limits.max_bytes {
            let most = self.limits.max_bytes;
            return Err(Unfit::Rule(format!("brings the archive over {most} unpacked bytes")));
        }
        let ratio = self.limits.max_ratio;
        if self.bytes > RATIO_FROM_BYTES && self.bytes / self.packed.max(1) > ratio {
            let text = format!("brings the archive over {ratio} times its packed size");
            return Err(Unfit::Rule(text));
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
        }
        let executable = entry.header().mode().unwrap_or(0o644) & 0o111 != 0;
        let mode = if executable { 0o755 } else { 0o644 };
        let at = self.destination.join(path);
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(at).map_err(Unfit::Io)?;
        let copied = io::copy(entry, &mut file).map_err(Unfit::Io)?;
        if copied == declared { Ok(()) } else { Err(Unfit::Rule("is cut short".to_owned())) }
    }
}

enum Unfit {
    Rule(String),
    Io(io::Error),
}

impl Unfit {
    fn named(self, entry: &str) -> ArchiveError {
        let entry = shorten(entry);
        match self {
            Unfit::Rule(rule) => ArchiveError::Refused { entry, rule },
            // The disk's fault, not the archive's: there may be room later.
            Unfit::Io(error) if is_full(&error) => ArchiveError::Io(error),
            Unfit::Io(error) => {
                ArchiveError::Refused { entry, rule: format!("cannot be written: {error}") }
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The path below the destination, or the rule it breaks.
fn inside(name: &str) -> Result<PathBuf, String> {
    if name.contains('\0') {
        return Err("has a NUL in its name".to_owned());
    }
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err("has '..' in its name".to_owned()),
            _ => return Err("has an absolute name".to_owned()),
        }
    }
    Ok(path)
}

fn stays_inside(path: &Path, target: &str) -> Result<(), String> {
    let out = || Err(format!("is a link to {target:?}, out of the archive"));
    let mut depth = path.components().count() as i64 - 1;
    for part in Path::new(target).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            _ => return out(),
        }
        if depth < 0 {
            return out();
        }
    }
    if target.is_empty() { Err("is a link to nothing".to_owned()) } else { Ok(()) }
}

fn directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn shorten(name: &str) -> String {
    const SHOWN: usize = 120;
    match name.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
#[path = "archive/tests.rs"]
mod tests;

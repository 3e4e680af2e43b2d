//! Files by name, in a directory or in a tar archive, and never anything outside of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use tar::EntryType;

use crate::content::MAX_DOCUMENT;
use crate::layer::archive;
use crate::{Error, Result};

/// Entries of one archive.
const MAX_ENTRIES: usize = 100_000;
/// Links followed on the way to one entry; `docker save` makes one.
const MAX_LINKS: usize = 8;
/// What compressed files start with: gzip, zstd, xz, bzip2.
const COMPRESSED: &[&[u8]] = &[&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"\xfd7zXZ", b"BZh"];

pub enum Files {
    Directory(File),
    Archive { file: File, entries: HashMap<String, Entry> },
}

pub enum Entry {
    At { offset: u64, size: u64 },
    Link(String),
}

impl Files {
    pub fn directory(folder: &Path, inside: &Path) -> Result<Self> {
        let opened = root(folder)
            .and_then(|root| open(&root, inside, OFlags::DIRECTORY).map(Files::Directory));
        opened.map_err(not_there)
    }

    /// Reads where everything is in an archive, and nothing of it.
    pub fn archive(folder: &Path, inside: &Path) -> Result<Self> {
        let opened = root(folder).and_then(|root| open(&root, inside, OFlags::empty()));
        let file = opened.map_err(not_there)?;
        let metadata = file.metadata().map_err(not_there)?;
        if !metadata.is_file() {
            return Err(Error::refused("it is no file"));
        }
        let mut start = [0; 6];
        let read = file.read_at(&mut start, 0).map_err(not_there)?;
        if COMPRESSED.iter().any(|magic| start[..read].starts_with(magic)) {
            return Err(Error::refused("it is compressed: decompress it first"));
        }
        let entries = entries(&file)?;
        Ok(Files::Archive { file, entries })
    }

    pub fn has(&self, name: &str) -> bool {
        matches!(self.reader(name), Ok(Some(_)))
    }

    /// A file's content and its size; `None` when it is not there.
    pub fn reader(&self, name: &str) -> Result<Option<(Box<dyn Read + '_>, u64)>> {
        match self {
            Files::Directory(directory) => {
                let file = match open(directory, Path::new(name), OFlags::empty()) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    other => other.map_err(Error::io(name))?,
                };
                let metadata = file.metadata().map_err(Error::io(name))?;
                if !metadata.is_file() {
                    return Err(Error::refused(format!("{name} is no file")));
                }
                Ok(Some((Box::new(file), metadata.len())))
            }
            Files::Archive { file, entries } => {
                let found = find(entries, name);
                Ok(found.map(|(at, left)| (Box::new(Part { file, at, left }) as Box<_>, left)))
            }
        }
    }

    /// All of a small file.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is not there or has more than [`MAX_DOCUMENT`] bytes.
    pub fn document(&self, name: &str) -> Result<Vec<u8>> {
        let Some((from, _)) = self.reader(name)? else {
            return Err(Error::refused(format!("{name} is not in it")));
        };
        let mut bytes = Vec::new();
        from.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(Error::io(name))?;
        match bytes.len() as u64 > MAX_DOCUMENT {
            false => Ok(bytes),
            true => {
                let text = format!("{name} has more than {MAX_DOCUMENT} bytes");
                Err(Error::refused(text))
            }
        }
    }
}

fn not_there(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::refused("there is nothing"),
        _ if error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) => {
            Error::refused("it leads out of the folder that may be read")
        }
        _ => Error::Io("it cannot be read".to_owned(), error),
    }
}

fn root(folder: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(folder, flags, Mode::empty())?))
}

fn open(root: &File, inside: &Path, more: OFlags) -> io::Result<File> {
    let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
    // A pipe must not make us wait for somebody to write to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(File::from(rustix::fs::openat2(root, inside, flags, Mode::empty(), resolve)?))
}

fn entries(file: &File) -> Result<HashMap<String, Entry>> {
    let damaged = |error: io::Error| Error::refused(format!("it is no tar archive: {error}"));
    let (mut archive, allowance) = archive(file);
    let mut listed = archive.entries_with_seek().map_err(damaged)?;
    let mut entries = HashMap::new();
    while let Some(entry) = allowance.next(&mut listed).map_err(damaged)? {
        if entries.len() == MAX_ENTRIES {
            return Err(Error::refused(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let name = plain(&entry.path().map_err(damaged)?);
        let kept = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                Entry::At { offset: entry.raw_file_position(), size: entry.size() }
            }
            EntryType::Symlink => {
                let Some(target) = entry.link_name().map_err(damaged)? else { continue };
                let above = Path::new(&name).parent().unwrap_or(Path::new(""));
                Entry::Link(plain(&above.join(target)))
            }
            _ => continue,
        };
        entries.insert(name, kept);
    }
    Ok(entries)
}

/// A name without `.`, `..` and slashes that say nothing.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}

fn find(entries: &HashMap<String, Entry>, name: &str) -> Option<(u64, u64)> {
    let mut name = plain(Path::new(name));
    for _ in 0..=MAX_LINKS {
        match entries.get(&name)? {
            Entry::At { offset, size } => return Some((*offset, *size)),
            Entry::Link(target) => name.clone_from(target),
        }
    }
    None
}

/// A part of a file.
struct Part<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

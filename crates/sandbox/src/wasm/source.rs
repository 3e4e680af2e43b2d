//! What stands in a function's source: one file, or an archive of files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dispatch_driver::{Error, Result};
use dispatch_model::code;

use crate::archive::{self, ArchiveError, Limits};

/// Folders in folders that are looked into.
const MAX_DEPTH: usize = 16;

/// The component a source is or holds.
pub fn component(source: &[u8]) -> Result<Vec<u8>> {
    if !archive::is_archive(source) {
        return Ok(source.to_vec());
    }
    let folder = tempfile::tempdir().map_err(ours)?;
    let root = folder.path().join("source");
    unpack(source, &root)?;
    let found = files(&root, &["wasm", "wat"])?;
    match found.as_slice() {
        [one] => fs::read(root.join(one)).map_err(ours),
        [] => Err(refused("the archive holds no .wasm or .wat file")),
        several => {
            let names: Vec<_> = several.iter().map(|path| path.to_string_lossy()).collect();
            let names = names.join(", ");
            Err(refused(format!("the archive must hold one .wasm or .wat file, it has: {names}")))
        }
    }
}

/// Unpacks an archive into a folder that does not exist yet.
pub fn unpack(source: &[u8], folder: &Path) -> Result<()> {
    archive::unpack(source, folder, &Limits::default()).map_err(|error| match error {
        ArchiveError::Io(error) => ours(error),
        other => refused(other.to_string()),
    })
}

/// The files below a folder whose names end in one of `endings`, as paths from there, sorted.
pub fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below)).map_err(ours)? {
            let entry = entry.map_err(ours)?;
            let (kind, path) = (entry.file_type().map_err(ours)?, below.join(entry.file_name()));
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((path, depth + 1));
            } else if kind.is_file() && has_ending(&path, endings) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
}

fn ours(error: io::Error) -> Error {
    Error::ours(code::ENGINE006, format!("unpacking the source: {error}"))
}

fn refused(message: impl Into<String>) -> Error {
    Error::caller(code::ENGINE002, message)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(paths: &[&str]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for path in paths {
            let mut header = tar::Header::new_gnu();
            header.set_size(4);
            header.set_mode(0o644);
            // Written past the checks of `set_path`, as a hostile client would.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, &b"text"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn finds_the_one_component() {
        assert_eq!(component(&packed(&["README", "a/hello.wat"])).unwrap(), b"text");
        assert_eq!(component(b"(component)").unwrap(), b"(component)");
        let none = component(&packed(&["a.txt"])).unwrap_err();
        assert!(none.message.contains("no .wasm"), "{none}");
        let two = component(&packed(&["b.wat", "a.wasm"])).unwrap_err();
        assert!(two.message.contains("a.wasm, b.wat"), "{two}");
    }

    #[test]
    fn what_leaves_the_folder_is_the_callers_fault() {
        let refused = component(&packed(&["../x.wat"])).unwrap_err();
        assert_eq!(refused.code, code::ENGINE002);
    }
}

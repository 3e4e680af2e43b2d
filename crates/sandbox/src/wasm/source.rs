//! What stands in a function's source: one file, or the files of a tar.gz, read in memory.

use std::io::Read;
use std::path::{Component, Path};

use dispatch_driver::{Error, Result};
use dispatch_model::code;
use flate2::read::GzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
/// Bytes of all files of an archive, unpacked.
const MAX_BYTES: u64 = 256 << 20;
const MAX_ENTRIES: usize = 10_000;

/// A file of an archive. Its path is relative and stays below the archive's root.
pub struct File {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// The component a source is or holds.
pub fn component(source: &[u8]) -> Result<Vec<u8>> {
    let Some(files) = files(source)? else { return Ok(source.to_vec()) };
    let is_component = |file: &File| {
        Path::new(&file.path).extension().is_some_and(|end| end == "wasm" || end == "wat")
    };
    let mut found: Vec<File> = files.into_iter().filter(is_component).collect();
    match found.len() {
        1 => Ok(found.remove(0).bytes),
        0 => Err(refused("the archive holds no .wasm or .wat file")),
        _ => {
            let names: Vec<_> = found.iter().map(|file| file.path.as_str()).collect();
            let names = names.join(", ");
            Err(refused(format!("the archive must hold one .wasm or .wat file, it has: {names}")))
        }
    }
}

/// The files of an archive; `None` when the source is not one.
pub fn files(source: &[u8]) -> Result<Option<Vec<File>>> {
    if !source.starts_with(GZIP) {
        return Ok(None);
    }
    // One byte more than allowed, so that a larger archive is seen to be larger.
    let mut archive = tar::Archive::new(GzDecoder::new(source).take(MAX_BYTES + 1));
    let mut files = Vec::new();
    let mut left = MAX_BYTES;
    for (number, entry) in archive.entries().map_err(damaged)?.enumerate() {
        if number >= MAX_ENTRIES {
            return Err(refused(format!("the archive has more than {MAX_ENTRIES} entries")));
        }
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let path = entry.path().map_err(damaged)?;
        let path = below_root(&path)?;
        if !kind.is_file() {
            return Err(refused(format!("{path:?} is neither a file nor a folder")));
        }
        left = left.checked_sub(entry.size()).ok_or_else(|| {
            refused(format!("the archive unpacks to more than {MAX_BYTES} bytes"))
        })?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        files.push(File { path, bytes });
    }
    Ok(Some(files))
}

fn below_root(path: &Path) -> Result<String> {
    let leaves = path.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir));
    let name = path.to_str().ok_or_else(|| refused("a file's name is not UTF-8"))?;
    if leaves {
        return Err(refused(format!("{name:?} would leave the folder of the function")));
    }
    Ok(name.trim_start_matches("./").to_owned())
}

fn damaged(error: std::io::Error) -> Error {
    refused(format!("the archive is damaged: {error}"))
}

fn refused(message: impl Into<String>) -> Error {
    Error::caller(code::ENGINE002, message)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn archive(entries: &[(&str, tar::EntryType)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
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
        let file = tar::EntryType::Regular;
        let one = archive(&[("./README", file), ("./a/hello.wat", file)]);
        assert_eq!(component(&one).unwrap(), b"text");
        assert_eq!(component(b"(component)").unwrap(), b"(component)");
        let none = component(&archive(&[("a.txt", file)])).unwrap_err();
        assert!(none.message.contains("no .wasm"), "{none}");
        let two = component(&archive(&[("a.wasm", file), ("b.wat", file)])).unwrap_err();
        assert!(two.message.contains("a.wasm, b.wat"), "{two}");
    }

    #[test]
    fn refuses_what_leaves_the_folder_or_is_no_file() {
        let file = tar::EntryType::Regular;
        for path in ["../x.wat", "/etc/x.wat", "a/../../x.wat"] {
            let refused = component(&archive(&[(path, file)])).unwrap_err();
            assert_eq!(refused.code, code::ENGINE002);
            assert!(refused.message.contains("leave"), "{refused}");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char] {
            let refused = component(&archive(&[("x.wat", kind)])).unwrap_err();
            assert!(refused.message.contains("neither"), "{refused}");
        }
        let mut cut = archive(&[("x.wat", file)]);
        cut.truncate(cut.len() / 2);
        assert_eq!(component(&cut).unwrap_err().code, code::ENGINE002);
    }
}

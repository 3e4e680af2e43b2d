//! Source folders and files as what is sent: a tar.gz that is the same for the same content.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::hint::wrong;

/// Largest source sent, in bytes; the server's own limit may be another.
const MAX_SOURCE: u64 = 50 << 20;
/// Most files of a folder.
const MAX_FILES: usize = 10_000;
/// Folders nobody means to deploy.
const SKIPPED: [&str; 3] = [".git", ".hg", ".svn"];

/// The base64 of a folder's archive, or of an archive with one file.
pub fn source(path: &Path) -> Result<String> {
    let meta = std::fs::metadata(path).map_err(|error| {
        wrong(
            format!("no source {}: {error}", path.display()),
            "name the file or folder that holds the handler",
        )
    })?;
    let (root, files) = if meta.is_dir() {
        let mut files = Vec::new();
        collect(path, path, &mut files, MAX_FILES)?;
        files.sort();
        (path, files)
    } else {
        let name = path.file_name().context("the source has no name")?;
        (path.parent().unwrap_or(Path::new("")), vec![PathBuf::from(name)])
    };
    if files.is_empty() {
        bail!("{} holds no files", path.display());
    }
    let mut archive = Archive::begin();
    for file in &files {
        archive.file(root, file)?;
    }
    archive.finish()
}

/// The base64 of an archive with one file of this content.
pub fn one(name: &Path, bytes: &[u8]) -> Result<String> {
    let mut archive = Archive::begin();
    archive.entry(name, bytes, false)?;
    archive.finish()
}

/// A folder of vulnerability records as one tar.gz, in a file that has no name.
pub fn records(folder: &Path) -> Result<File> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files, usize::MAX)?;
    let known = |file: &&PathBuf| {
        file.extension().is_some_and(|ending| ending == "json" || ending == "zip")
    };
    let gzip = GzEncoder::new(tempfile::tempfile()?, Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for file in files.iter().filter(known) {
        let path = folder.join(file);
        tar.append_path_with_name(&path, file).with_context(|| path.display().to_string())?;
    }
    let mut packed = tar.into_inner()?.finish()?;
    packed.rewind()?;
    Ok(packed)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>, most: usize) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, files, most)?;
        } else {
            files.push(path.strip_prefix(root)?.to_owned());
        }
        if files.len() > most {
            bail!("{} holds more than {most} files", root.display());
        }
    }
    Ok(())
}

/// An archive that is being written.
struct Archive {
    tar: tar::Builder<GzEncoder<Vec<u8>>>,
    total: u64,
}

impl Archive {
    fn begin() -> Self {
        // No name and no time in the header, so that the digest depends on the content alone.
        let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        Self { tar: tar::Builder::new(gzip), total: 0 }
    }

    fn file(&mut self, root: &Path, file: &Path) -> Result<()> {
        let path = root.join(file);
        let mut open = File::open(&path).with_context(|| path.display().to_string())?;
        let meta = open.metadata()?;
        self.total += meta.len();
        if self.total > MAX_SOURCE * 4 {
            bail!("the source is larger than {} MiB unpacked", (MAX_SOURCE * 4) >> 20);
        }
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
        let executable = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
        self.entry(file, &bytes, executable)
    }

    fn entry(&mut self, name: &Path, bytes: &[u8], executable: bool) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_cksum();
        Ok(self.tar.append_data(&mut header, name, bytes)?)
    }

    fn finish(self) -> Result<String> {
        let packed = self.tar.into_inner()?.finish()?;
        if packed.len() as u64 > MAX_SOURCE {
            bail!(
                "the packed source is {} MiB, at most {} are sent",
                packed.len() >> 20,
                MAX_SOURCE >> 20
            );
        }
        Ok(STANDARD.encode(packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_packs_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.py"), "b").unwrap();
        std::fs::create_dir_all(folder.path().join("a/.git")).unwrap();
        std::fs::write(folder.path().join("a/x.py"), "x").unwrap();
        std::fs::write(folder.path().join("a/.git/HEAD"), "no").unwrap();
        let first = source(folder.path()).unwrap();
        std::fs::write(folder.path().join("b.py"), "b").unwrap();
        assert_eq!(source(folder.path()).unwrap(), first);
        let bytes = STANDARD.decode(first).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let names: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a/x.py", "b.py"]);
        assert!(source(&folder.path().join("nothing")).is_err());
    }
}

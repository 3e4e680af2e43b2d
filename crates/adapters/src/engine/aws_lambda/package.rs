//! The archive of a function: its source, the host of its language, and an entry point for both of
//! Lambda's ways to run one.

use std::io::{Cursor, Read, Write};

use bytes::Bytes;
use dispatch_driver::{Deployment, Error, Language, Result};
use dispatch_model::code;
use flate2::read::GzDecoder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What Lambda takes with a request, packed and unpacked.
pub const MAX_PACKED: usize = 50 << 20;
const MAX_UNPACKED: u64 = 250 << 20;
/// Folder of the source; the host's files are beside it.
const FUNCTION: &str = "function";
/// What a runtime without an interpreter of its own starts.
const BOOTSTRAP: &str = "bootstrap";

/// An archive that is being written. Files have no time, so that equal functions are equal bytes.
struct Archive {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    unpacked: u64,
}

/// Packs a function.
///
/// # Errors
/// `Fault::Caller` when the source is no archive, or it is more than Lambda takes.
pub fn pack(deployment: &Deployment, language: &Language, source: &Bytes) -> Result<Vec<u8>> {
    let packed = Archive::new().and_then(|mut archive| {
        archive.host(language, &deployment.handler)?;
        archive.source(&language.source.file_name(&deployment.handler), source)?;
        archive.finish()
    });
    let bytes = packed.map_err(|text| Error::caller(code::ENGINE002, text))?;
    if bytes.len() > MAX_PACKED {
        let text = format!(
            "the function's archive has {} bytes; Lambda takes {MAX_PACKED} without an image",
            bytes.len()
        );
        return Err(Error::caller(code::ENGINE002, text));
    }
    Ok(bytes)
}

type Packed<T> = std::result::Result<T, String>;

impl Archive {
    fn new() -> Packed<Self> {
        Ok(Self { zip: ZipWriter::new(Cursor::default()), unpacked: 0 })
    }

    fn host(&mut self, language: &Language, handler: &str) -> Packed<()> {
        for file in &language.files {
            self.file(&file.name, false, &mut file.text.as_bytes())?;
        }
        if let Some(script) = bootstrap(language, handler) {
            self.file(BOOTSTRAP, true, &mut script.as_bytes())?;
        }
        Ok(())
    }

    /// A tar.gz archive, or one file.
    fn source(&mut self, name: &str, source: &Bytes) -> Packed<()> {
        if !source.starts_with(&[0x1f, 0x8b]) {
            return self.file(&format!("{FUNCTION}/{name}"), true, &mut source.as_ref());
        }
        let damaged = |error| format!("the source's archive is damaged: {error}");
        let mut archive = tar::Archive::new(GzDecoder::new(source.as_ref()));
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let path = entry.path().map_err(damaged)?.into_owned();
            let Some(path) = below(&path) else {
                return Err(format!("the archive's entry {:?} leaves its folder", path.display()));
            };
            let place = format!("{FUNCTION}/{path}");
            match entry.header().entry_type() {
                tar::EntryType::Directory => {}
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
                    self.file(&place, executable, &mut entry)?;
                }
                tar::EntryType::XGlobalHeader => {}
                kind => {
                    return Err(format!(
                        "the archive's entry {path:?} is a {kind:?}; Lambda's archives have files \
                         and folders only"
                    ));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, executable: bool, content: &mut dyn Read) -> Packed<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(mode);
        let failed = |error: &dyn std::fmt::Display| format!("{name} cannot be packed: {error}");
        self.zip.start_file(name, options).map_err(|error| failed(&error))?;
        let mut limited = content.take(MAX_UNPACKED - self.unpacked + 1);
        let written = std::io::copy(&mut limited, &mut self.zip).map_err(|error| failed(&error))?;
        self.unpacked += written;
        if self.unpacked > MAX_UNPACKED {
            let text = "the function has more than 250 MiB unpacked, which Lambda does not take; \
                        use `package: image`";
            return Err(text.to_owned());
        }
        Ok(())
    }

    fn finish(self) -> Packed<Vec<u8>> {
        let mut cursor = self.zip.finish().map_err(|error| error.to_string())?;
        cursor.flush().map_err(|error| error.to_string())?;
        Ok(cursor.into_inner())
    }
}

/// The path of an entry with single slashes; `None` when it leaves its folder.
fn below(path: &std::path::Path) -> Option<String> {
    let mut words = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(word) => words.push(word.to_str()?),
            std::path::Component::CurDir => {}
            _ => return None,
        }
    }
    Some(words.join("/"))
}

/// Starts the language's host where the archive was unpacked: in runtimes that bring no
/// interpreter, a layer has to.
fn bootstrap(language: &Language, handler: &str) -> Option<String> {
    use dispatch_driver::language::{FUNCTION_AT, HOST_AT, PACKAGES_AT};
    let words = language.entry_point(handler).ok()?;
    let quoted = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
    let words: Vec<_> = words.iter().map(quoted).collect();
    let words = words.join(" ").replace(HOST_AT, "'\"$here\"'");
    let words = words.replace(FUNCTION_AT, "'\"$here\"'/function");
    let words = words.replace(PACKAGES_AT, "'\"$here\"'/packages");
    Some(format!(
        "#!/bin/sh\nhere=$(cd \"$(dirname \"$0\")\" && pwd)\n\
         export DISPATCH_FUNCTION=\"${{DISPATCH_FUNCTION:-$here/{FUNCTION}}}\"\nexec {words}\n"
    ))
}

#[cfg(test)]
mod tests;

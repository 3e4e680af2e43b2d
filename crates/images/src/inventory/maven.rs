//! Java archives: Maven's `pom.properties`, else the manifest, else the file's name.

mod manifest;

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use super::paragraph::paragraphs;
use super::{Ecosystem, Found, MAX_FILE, Package, licence, purl};

/// Entries of one archive that are looked at.
const MAX_ENTRIES: usize = 200_000;
/// Bytes of an archive in an archive, unpacked.
const MAX_NESTED: u64 = 128 << 20;
/// Archives in one archive (Spring Boot puts libraries into the application's).
const MAX_ARCHIVES: usize = 2_000;

pub fn is_archive(path: &str) -> bool {
    [".jar", ".war", ".ear"].iter().any(|end| path.ends_with(end))
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    match File::open(place) {
        Ok(file) => archive(found, path, file, true),
        Err(error) => found.note(path, format!("cannot be read: {error}")),
    }
}

fn archive<R: Read + Seek>(found: &mut Found<'_>, path: &str, file: R, outermost: bool) {
    let mut zip = match ZipArchive::new(file) {
        Ok(zip) if zip.len() <= MAX_ENTRIES => zip,
        Ok(zip) => {
            let text = format!("has {} entries, more than {MAX_ENTRIES}", zip.len());
            return found.note(path, text);
        }
        Err(error) => return found.note(path, format!("is no Java archive: {error}")),
    };
    let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
    let poms = names
        .iter()
        .filter(|name| name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties"));
    let mut any = false;
    for name in poms {
        any |= from_properties(found, &mut zip, path, name);
    }
    if !any {
        let text = text(found, &mut zip, path, "META-INF/MANIFEST.MF").unwrap_or_default();
        let text = manifest::unfolded(&text);
        let manifest = paragraphs(&text).next().unwrap_or_default();
        if let Some(package) = manifest::package(&manifest, path) {
            add(found, package);
        }
    }
    let inner: Vec<&String> = names.iter().filter(|name| is_archive(name)).collect();
    if inner.len() > MAX_ARCHIVES || (!outermost && !inner.is_empty()) {
        let text = "archives in it are left out: too many, or in an archive that is in one itself";
        return found.note(path, text);
    }
    for name in inner {
        let path = format!("{path}!/{name}");
        if let Some(bytes) = bytes(found, &mut zip, &path, name, MAX_NESTED) {
            archive(found, &path, Cursor::new(bytes), false);
        }
    }
}

fn from_properties<R: Read + Seek>(
    found: &mut Found<'_>,
    zip: &mut ZipArchive<R>,
    path: &str,
    name: &str,
) -> bool {
    let Some(properties) = text(found, zip, path, name) else { return false };
    let value = |key: &str| {
        let line = |line: &str| {
            let (name, value) = line.split_once(['=', ':'])?;
            (name.trim() == key).then(|| value.trim().to_owned())
        };
        properties.lines().find_map(line).unwrap_or_default()
    };
    let (group, artifact, version) = (value("groupId"), value("artifactId"), value("version"));
    if group.is_empty() || artifact.is_empty() || version.is_empty() {
        found.note(path, format!("{name} lacks groupId, artifactId or version"));
        return false;
    }
    let mut package =
        Package::new(Ecosystem::Maven, &format!("{group}:{artifact}"), &version, path);
    let pom = name.replace("pom.properties", "pom.xml");
    if zip.index_for_name(&pom).is_some() {
        let pom = text(found, zip, path, &pom).unwrap_or_default();
        package.licences =
            manifest::pom_licences(&pom).iter().map(|l| licence::normal(l)).collect();
    }
    add(found, package);
    true
}

fn add(found: &mut Found<'_>, mut package: Package) {
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

fn text<R: Read + Seek>(
    found: &mut Found<'_>,
    zip: &mut ZipArchive<R>,
    path: &str,
    name: &str,
) -> Option<String> {
    zip.index_for_name(name)?;
    let bytes = bytes(found, zip, path, name, MAX_FILE)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// An entry's bytes; with a note when it is damaged or larger than it may be.
fn bytes<R: Read + Seek>(
    found: &mut Found<'_>,
    zip: &mut ZipArchive<R>,
    path: &str,
    name: &str,
    max: u64,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = zip.by_name(name).map_err(|error| error.to_string()).and_then(|entry| {
        entry.take(max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())
    });
    match read {
        Ok(_) if bytes.len() as u64 <= max => Some(bytes),
        Ok(_) => {
            found.note(path, format!("{name} has more than {max} bytes"));
            None
        }
        Err(error) => {
            found.note(path, format!("{name} cannot be read: {error}"));
            None
        }
    }
}

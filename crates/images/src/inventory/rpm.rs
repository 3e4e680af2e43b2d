//! RPM's database, in the two formats of today (SQLite and ndb). The Berkeley DB of releases
//! before 2020 is not read; a note says so.

mod header;
mod ndb;
mod sqlite;

use header::Header;

use super::{Ecosystem, Found, Package, Source, licence, purl};

const FOLDERS: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];
const MAX_DATABASE: u64 = 512 << 20;

/// Tags of headers (rpm's `rpmtag.h`).
mod tag {
    pub const SHA1: u32 = 269;
    pub const SHA256: u32 = 273;
    pub const NAME: u32 = 1000;
    pub const VERSION: u32 = 1001;
    pub const RELEASE: u32 = 1002;
    pub const EPOCH: u32 = 1003;
    pub const VENDOR: u32 = 1011;
    pub const LICENSE: u32 = 1014;
    pub const ARCH: u32 = 1022;
    pub const SOURCE: u32 = 1044;
    pub const PROVIDES: u32 = 1047;
    pub const REQUIRES: u32 = 1049;
}

pub fn read(found: &mut Found<'_>) {
    for folder in FOLDERS {
        let path = format!("{folder}/rpmdb.sqlite");
        if let Some(bytes) = database(found, &path) {
            let wal = format!("{path}-wal");
            let late = found.rootfs.read(&wal, MAX_DATABASE);
            if !matches!(late, Ok(None)) && !late.is_ok_and(|wal| wal.is_some_and(|b| b.is_empty()))
            {
                found.note(&wal, "changes in the write-ahead log are not read");
            }
            return packages(found, &path, sqlite::blobs(&bytes, "Packages"));
        }
        let path = format!("{folder}/Packages.db");
        if let Some(bytes) = database(found, &path) {
            return packages(found, &path, ndb::blobs(&bytes));
        }
        let path = format!("{folder}/Packages");
        if matches!(found.rootfs.find(&path), Ok(Some(_))) {
            found.note(&path, "RPM's Berkeley DB cannot be read: its packages are not listed");
            return;
        }
    }
}

fn database(found: &mut Found<'_>, path: &str) -> Option<Vec<u8>> {
    match found.rootfs.read(path, MAX_DATABASE) {
        Ok(bytes) => bytes,
        Err(error) => {
            found.note(path, format!("cannot be read: {error}"));
            None
        }
    }
}

fn packages(found: &mut Found<'_>, path: &str, blobs: Result<Vec<Vec<u8>>, String>) {
    let blobs = match blobs {
        Ok(blobs) => blobs,
        Err(problem) => return found.note(path, format!("cannot be read: {problem}")),
    };
    let mut headers = Vec::new();
    for blob in blobs {
        match Header::parse(&blob) {
            Ok(header) => headers.push(header),
            Err(problem) => found.note(path, format!("a header cannot be read: {problem}")),
        }
    }
    let providers = providers(&headers);
    for header in &headers {
        let name = header.text(tag::NAME).unwrap_or_default();
        // Keys that packages are checked with are kept as packages.
        if name != "gpg-pubkey" {
            let package = package(header, name, path, &providers);
            let purl = purl::of(&package, found.os.as_ref());
            found.package(Package { purl, ..package });
        }
    }
}

type Providers<'a> = std::collections::HashMap<&'a str, &'a str>;

/// What packages provide (names, libraries, files) → the package.
fn providers(headers: &[Header]) -> Providers<'_> {
    let mut providers = Providers::new();
    for header in headers {
        let name = header.text(tag::NAME).unwrap_or_default();
        for what in header.texts(tag::PROVIDES).chain([name]) {
            providers.entry(what).or_insert(name);
        }
    }
    providers
}

fn package(header: &Header, name: &str, path: &str, providers: &Providers<'_>) -> Package {
    let text = |tag| header.text(tag).unwrap_or_default();
    let mut version = format!("{}-{}", text(tag::VERSION), text(tag::RELEASE));
    if let Some(epoch) = header.number(tag::EPOCH).filter(|epoch| *epoch > 0) {
        version = format!("{epoch}:{version}");
    }
    let mut package = Package::new(Ecosystem::Rpm, name, &version, path);
    package.architecture = header.text(tag::ARCH).map(str::to_owned);
    package.supplier = header.text(tag::VENDOR).map(str::to_owned);
    package.licences = header.text(tag::LICENSE).map(licence::normal).into_iter().collect();
    let sum = |algorithm, tag| header.text(tag).map(|hex| format!("{algorithm}:{hex}"));
    package.checksum = sum("sha256", tag::SHA256).or_else(|| sum("sha1", tag::SHA1));
    package.source = header.text(tag::SOURCE).and_then(source);
    let needs = header.texts(tag::REQUIRES).filter_map(|need| providers.get(need));
    package.depends_on(needs.map(|name| (*name).to_owned()).collect::<Vec<_>>());
    package
}

/// `NAME-VERSION-RELEASE.src.rpm`.
fn source(file: &str) -> Option<Source> {
    let stem = file.strip_suffix(".rpm")?.rsplit_once('.')?.0;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some(Source { name: name.to_owned(), version: format!("{version}-{release}") })
}

//! Debian's database: `status`, and the `status.d` of distroless images.

use super::paragraph::{Paragraph, paragraphs};
use super::{Ecosystem, Found, Package, Source, copyright, purl};

const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_D: &str = "/var/lib/dpkg/status.d";
const MAX_STATUS: u64 = 64 << 20;

pub fn read(found: &mut Found<'_>) {
    if let Some(text) = found.text(STATUS, MAX_STATUS) {
        for paragraph in paragraphs(&text) {
            // Packages that are removed but keep their settings are listed too.
            if paragraph.get("Status").is_some_and(|s| s.ends_with(" installed")) {
                package(found, &paragraph, STATUS);
            }
        }
    }
    let names = found.rootfs.list(STATUS_D).unwrap_or_default();
    for name in names.iter().filter(|name| !name.ends_with(".md5sums")) {
        let path = format!("{STATUS_D}/{name}");
        let Some(text) = found.text(&path, super::MAX_FILE) else { continue };
        for paragraph in paragraphs(&text) {
            package(found, &paragraph, &path);
        }
    }
}

fn package(found: &mut Found<'_>, paragraph: &Paragraph<'_>, location: &str) {
    let field = |name| paragraph.get(name).unwrap_or_default();
    let name = field("Package");
    let mut package = Package::new(Ecosystem::Deb, name, field("Version"), location);
    package.architecture = paragraph.get("Architecture").map(str::to_owned);
    package.supplier = paragraph.get("Maintainer").map(str::to_owned);
    package.source = Some(source(paragraph.get("Source"), &package));
    let needs = ["Pre-Depends", "Depends"].into_iter().filter_map(|f| paragraph.get(f));
    package.depends_on(needs.flat_map(|list| list.split(',')).filter_map(dependency));
    package.purl = purl::of(&package, found.os.as_ref());
    if package.plausible().is_ok() {
        package.licences = copyright::licences(found, name);
    }
    found.package(package);
}

/// `Source: gcc-12 (12.2.0-14)`; without a version it is the package's own, without a field both.
fn source(field: Option<&str>, package: &Package) -> Source {
    let (name, version) = match field.map(|text| text.split_once('(').unwrap_or((text, ""))) {
        None => (package.name.as_str(), ""),
        Some((name, version)) => (name.trim(), version.trim_end_matches(')').trim()),
    };
    let version = if version.is_empty() { &package.version } else { version };
    Source { name: name.to_owned(), version: version.to_owned() }
}

/// The name in `libc6 (>= 2.34) | other`: of alternatives the first.
fn dependency(text: &str) -> Option<String> {
    let end = |c: char| c.is_whitespace() || matches!(c, '(' | '|' | ':' | '[');
    let name = text.trim().split(end).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

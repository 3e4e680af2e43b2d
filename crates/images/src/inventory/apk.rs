//! Alpine's database of installed packages (<https://wiki.alpinelinux.org/wiki/Apk_spec>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::paragraph::{Paragraph, paragraphs};
use super::{Ecosystem, Found, Package, Source, licence, purl};

const PLACES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
const MAX_INSTALLED: u64 = 64 << 20;

pub fn read(found: &mut Found<'_>) {
    // The second is the first where /lib is a link.
    for place in PLACES {
        let Some(text) = found.text(place, MAX_INSTALLED) else { continue };
        let all: Vec<Paragraph<'_>> = paragraphs(&text).collect();
        let provided = provided(&all);
        for paragraph in &all {
            package(found, paragraph, place, &provided);
        }
        return;
    }
}

/// What each package provides (`so:libz.so.1`, `cmd:sh`) → its name.
fn provided(all: &[Paragraph<'_>]) -> BTreeMap<String, String> {
    let mut provided = BTreeMap::new();
    for paragraph in all {
        let name = field(paragraph, "P").unwrap_or_default();
        let given = field(paragraph, "p").unwrap_or_default();
        for what in given.split_whitespace().map(without_version).chain([name]) {
            provided.entry(what.to_owned()).or_insert_with(|| name.to_owned());
        }
    }
    provided
}

fn package(
    found: &mut Found<'_>,
    paragraph: &Paragraph<'_>,
    location: &str,
    provided: &BTreeMap<String, String>,
) {
    let get = |key| field(paragraph, key).unwrap_or_default();
    let mut package = Package::new(Ecosystem::Apk, get("P"), get("V"), location);
    package.architecture = field(paragraph, "A").map(str::to_owned);
    package.supplier = field(paragraph, "m").map(str::to_owned);
    package.licences = field(paragraph, "L").map(licence::normal).into_iter().collect();
    package.checksum = field(paragraph, "C").and_then(checksum);
    let source = field(paragraph, "o").unwrap_or(&package.name).to_owned();
    package.source = Some(Source { name: source, version: package.version.clone() });
    let needs = get("D").split_whitespace().filter(|need| !need.starts_with('!'));
    let owner = |need: &str| provided.get(without_version(need)).cloned();
    package.depends_on(needs.filter_map(owner).collect::<Vec<_>>());
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

/// Keys are single letters, and `p` is not `P`.
fn field<'a>(paragraph: &'a Paragraph<'_>, key: &str) -> Option<&'a str> {
    paragraph.exact(key).filter(|value| !value.is_empty())
}

/// The name in `so:libc.musl-x86_64.so.1=1`, `busybox>=1.3`, `python3~3.11`.
fn without_version(text: &str) -> &str {
    text.split(['=', '<', '>', '~']).next().unwrap_or_default()
}

/// `Q1` and the base64 of a SHA-1.
fn checksum(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text.strip_prefix("Q1")?).ok()?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (bytes.len() == 20).then(|| format!("sha1:{hex}"))
}

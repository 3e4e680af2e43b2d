//! Python distributions: `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, `*.egg-info` files
//! (<https://packaging.python.org/en/latest/specifications/core-metadata/>).

use std::path::Path;

use super::paragraph::{Paragraph, paragraphs};
use super::{Ecosystem, Found, Package, licence, purl};

const OSI: &str = "License :: OSI Approved :: ";

pub fn is_metadata(path: &str) -> bool {
    path.ends_with(".dist-info/METADATA")
        || path.ends_with(".egg-info/PKG-INFO")
        || path.ends_with("/EGG-INFO/PKG-INFO")
        || path.ends_with(".egg-info")
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    let Some(text) = found.file(path, place) else { return };
    let Some(head) = paragraphs(&text).next() else {
        return found.note(path, "has no metadata");
    };
    let field = |name| head.get(name).unwrap_or_default();
    let mut package = Package::new(Ecosystem::Pypi, field("Name"), field("Version"), path);
    package.licences = licences(&head);
    let supplier = [head.get("Author"), head.get("Author-email"), head.get("Maintainer")];
    package.supplier = supplier.into_iter().flatten().find(|s| known(s)).map(str::to_owned);
    package.depends_on(head.all("Requires-Dist").filter_map(dependency).collect::<Vec<_>>());
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

fn known(text: &str) -> bool {
    !text.is_empty() && text != "UNKNOWN"
}

/// `License-Expression` first; then the classifiers, which are from a list; then free text.
fn licences(head: &Paragraph<'_>) -> Vec<String> {
    if let Some(expression) = head.get("License-Expression").filter(|text| known(text)) {
        return vec![licence::normal(expression)];
    }
    let free = head.get("License").filter(|text| known(text)).map(licence::normal);
    if free.as_ref().is_some_and(|text| licence::is_expression(text)) {
        return free.into_iter().collect();
    }
    let classified = head.all("Classifier").filter_map(|c| c.strip_prefix(OSI));
    let mut listed: Vec<String> = classified.map(licence::normal).collect();
    listed.sort();
    listed.dedup();
    if listed.is_empty() { free.into_iter().collect() } else { listed }
}

/// The name in `requests[security]>=2; python_version < "3"`; extras are not installed by it.
fn dependency(text: &str) -> Option<String> {
    let (requirement, marker) = text.split_once(';').unwrap_or((text, ""));
    let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let name = requirement.trim().split(end).next().unwrap_or_default();
    (!name.is_empty() && !marker.contains("extra")).then(|| name.to_owned())
}

/// The name by which distributions are equal: PEP 503.
pub fn normalized(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let parts = lower.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

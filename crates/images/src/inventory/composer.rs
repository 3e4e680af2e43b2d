//! PHP packages: Composer's `vendor/composer/installed.json`, of version 1 and 2.

use std::path::Path;

use serde_json::Value;

use super::{Ecosystem, Found, Package, licence, purl};

pub fn is_metadata(path: &str) -> bool {
    path.ends_with("/composer/installed.json")
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    let Some(text) = found.file(path, place) else { return };
    let json: Value = match serde_json::from_str(&text) {
        Ok(json) => json,
        Err(error) => return found.note(path, format!("is no JSON: {error}")),
    };
    let Some(packages) = json.get("packages").unwrap_or(&json).as_array() else {
        return found.note(path, "has no list of packages");
    };
    for json in packages {
        package(found, json, path);
    }
}

fn package(found: &mut Found<'_>, json: &Value, path: &str) {
    let field = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    // Tags are often `v1.2.3`; Packagist and OSV compare without the letter.
    let version = field("version");
    let bare = version.strip_prefix('v').filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    let version = bare.unwrap_or(version);
    let mut package = Package::new(Ecosystem::Composer, field("name"), version, path);
    let licences = json.get("license").and_then(Value::as_array).into_iter().flatten();
    let licences: Vec<&str> = licences.filter_map(Value::as_str).collect();
    // A list is a choice (Composer's schema says "or").
    if !licences.is_empty() {
        package.licences = vec![licence::normal(&licences.join(" or "))];
    }
    let sum = json.pointer("/dist/shasum").and_then(Value::as_str).unwrap_or_default();
    package.checksum = (sum.len() == 40).then(|| format!("sha1:{}", sum.to_ascii_lowercase()));
    package.supplier = json.pointer("/authors/0/name").and_then(Value::as_str).map(str::to_owned);
    let needs = json.get("require").and_then(Value::as_object);
    let needs = needs.into_iter().flat_map(|needs| needs.keys());
    // `php` and `ext-json` are the platform's, not packages.
    package.depends_on(needs.filter(|name| name.contains('/')).cloned());
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

//! Runtimes of languages that no package manager put there: images of Python and Node have theirs
//! under `/usr/local`, and their headers say the version.

use std::path::Path;

use super::{Ecosystem, Found, Package, purl};

const PYTHON: &str = "/patchlevel.h";
const NODE: &str = "/include/node/node_version.h";

pub fn is_header(path: &str) -> bool {
    // What is under /usr/include belongs to packages of the distribution.
    let own = !path.starts_with("/usr/include/");
    own && (path.ends_with(NODE) || (path.ends_with(PYTHON) && path.contains("/include/python")))
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    let Some(text) = found.file(path, place) else { return };
    let (name, version) = if path.ends_with(NODE) {
        let parts = ["NODE_MAJOR_VERSION", "NODE_MINOR_VERSION", "NODE_PATCH_VERSION"];
        let parts: Vec<&str> = parts.into_iter().filter_map(|p| defined(&text, p)).collect();
        ("node", parts.join("."))
    } else {
        ("python", defined(&text, "PY_VERSION").unwrap_or_default().to_owned())
    };
    let mut package = Package::new(Ecosystem::Generic, name, &version, path);
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

/// The value of `#define NAME value`.
fn defined<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let named = words.next() == Some("#define") && words.next() == Some(name);
        words.next().filter(|_| named).map(|value| value.trim_matches('"'))
    })
}

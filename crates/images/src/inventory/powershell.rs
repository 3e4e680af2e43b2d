//! PowerShell modules: `NAME/NAME.psd1` and `NAME/VERSION/NAME.psd1`.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{Ecosystem, Found, Package, purl};

static VERSION: LazyLock<Regex> = LazyLock::new(|| value("ModuleVersion"));
static PRERELEASE: LazyLock<Regex> = LazyLock::new(|| value("Prerelease"));
static AUTHOR: LazyLock<Regex> = LazyLock::new(|| value("Author"));

/// `Key = 'value'` on a line that is no comment.
fn value(key: &str) -> Regex {
    let pattern = format!(r#"(?im)^\s*{key}\s*=\s*['"]([^'"\r\n]*)['"]"#);
    Regex::new(&pattern).expect("the pattern is a constant and a test compiles it")
}

pub fn is_manifest(path: &str) -> bool {
    let Some(stem) = path.strip_suffix(".psd1") else { return false };
    let mut parts = stem.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let parent = parts.next().unwrap_or_default();
    let versioned = parent.starts_with(|c: char| c.is_ascii_digit());
    let folder = if versioned { parts.next().unwrap_or_default() } else { parent };
    !name.is_empty() && folder.eq_ignore_ascii_case(name)
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    let Some(text) = found.file(path, place) else { return };
    let text = text.trim_start_matches('\u{feff}');
    let get = |regex: &Regex| regex.captures(text).map(|captures| captures[1].to_owned());
    let mut version = get(&VERSION).unwrap_or_default();
    if let Some(pre) = get(&PRERELEASE).filter(|pre| !pre.is_empty()) {
        version = format!("{version}-{}", pre.trim_start_matches('-'));
    }
    let file = path.rsplit('/').next().unwrap_or_default();
    let name = file.trim_end_matches(".psd1");
    let mut package = Package::new(Ecosystem::Powershell, name, &version, path);
    package.supplier = get(&AUTHOR).filter(|author| !author.is_empty());
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

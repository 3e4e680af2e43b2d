//! Ruby gems: `specifications/NAME-VERSION.gemspec` as RubyGems writes it when it installs.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{Ecosystem, Found, Package, licence, purl};

/// `# stub: NAME VERSION PLATFORM REQUIRE_PATHS`: the line RubyGems reads itself.
static STUB: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^# stub: (\S+) (\S+) (\S+)"));
static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r#"\.name = ["']([^"']+)["']"#));
static VERSION: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"\.version = (?:Gem::Version\.new\()?["']([^"']+)["']"#));
static LICENCES: LazyLock<Regex> = LazyLock::new(|| regex(r"\.licenses? = \[?([^\]\n]*)"));
static AUTHORS: LazyLock<Regex> = LazyLock::new(|| regex(r"\.authors? = \[?([^\]\n]*)"));
static NEEDS: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"add_(?:runtime_)?dependency\(?\s*(?:%q<([^>]+)>|["']([^"']+)["'])"#));
static QUOTED: LazyLock<Regex> = LazyLock::new(|| regex(r#"["']([^"']+)["']"#));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant and a test compiles it")
}

pub fn is_metadata(path: &str) -> bool {
    path.ends_with(".gemspec")
        && path.rsplit('/').nth(1).is_some_and(|folder| {
            folder == "specifications"
                || (folder == "default" && path.contains("/specifications/default/"))
        })
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    let Some(text) = found.file(path, place) else { return };
    let first = |regex: &Regex| regex.captures(&text).map(|c| c[1].to_owned()).unwrap_or_default();
    let stub = STUB.captures(&text);
    let (name, version) = match &stub {
        Some(stub) => (stub[1].to_owned(), stub[2].to_owned()),
        None => (first(&NAME), first(&VERSION)),
    };
    let mut package = Package::new(Ecosystem::Gem, &name, &version, path);
    let platform = stub.map(|stub| stub[3].to_owned()).filter(|platform| platform != "ruby");
    package.architecture = platform;
    package.licences = quoted(&first(&LICENCES)).iter().map(|l| licence::normal(l)).collect();
    package.supplier = Some(quoted(&first(&AUTHORS)).join(", ")).filter(|s| !s.is_empty());
    let needs = NEEDS.captures_iter(&text);
    let need = |c: regex::Captures<'_>| c.get(1).or(c.get(2)).map(|m| m.as_str().to_owned());
    package.depends_on(needs.filter_map(need));
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

fn quoted(list: &str) -> Vec<String> {
    QUOTED.captures_iter(list).map(|c| c[1].to_owned()).collect()
}

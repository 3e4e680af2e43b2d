//! What a Java archive says of itself without Maven: its manifest, its name, its pom's licences.

use super::super::paragraph::Paragraph;
use super::super::{Ecosystem, Package, licence};

/// Licences of one pom.
const MAX_LICENCES: usize = 16;

/// Lines of a manifest go on after a line break and one blank, in the middle of words.
pub fn unfolded(text: &str) -> String {
    text.replace("\r\n", "\n").replace("\n ", "")
}

/// From `Bundle-SymbolicName` or `Implementation-Title` and their versions, else from the file's
/// name `NAME-1.2.jar`. `None`: classes without any name and version, which are no package.
pub fn package(manifest: &Paragraph<'_>, path: &str) -> Option<Package> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let named = stem.match_indices('-').find_map(|(at, _)| {
        let version = &stem[at + 1..];
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| (&stem[..at], version))
    });
    let field = |name| manifest.get(name).map(str::trim).filter(|value| !value.is_empty());
    let group = field("Implementation-Vendor-Id").or_else(|| field("Automatic-Module-Name"));
    let version = field("Implementation-Version").or_else(|| field("Bundle-Version"));
    let version = named.map(|(_, version)| version).or(version)?;
    let bundle = field("Bundle-SymbolicName").map(|n| n.split(';').next().unwrap_or(n).trim());
    let artifact = named.map(|(name, _)| name).unwrap_or(stem);
    let group = bundle.or(group);
    // A bundle's name mostly is the group, with or without the artifact at its end.
    let group = group.map(|g| g.strip_suffix(artifact).map_or(g, |g| g.trim_end_matches('.')));
    let name = match group.filter(|group| !group.is_empty()) {
        Some(group) => format!("{group}:{artifact}"),
        None => artifact.to_owned(),
    };
    let mut package = Package::new(Ecosystem::Maven, &name, version, path);
    package.supplier =
        field("Implementation-Vendor").or_else(|| field("Bundle-Vendor")).map(str::to_owned);
    package.licences = field("Bundle-License").map(licence::normal).into_iter().collect();
    Some(package)
}

/// The names in `<licenses><license><name>`: a pom is XML, but these are looked for as text, for
/// a broken pom is no reason to lose them.
pub fn pom_licences(pom: &str) -> Vec<String> {
    let block = pom.split_once("<licenses>").and_then(|(_, rest)| rest.split_once("</licenses>"));
    let Some((block, _)) = block else { return Vec::new() };
    let name = |part: &str| {
        let name = part.split_once("<name>")?.1.split_once("</name>")?.0.trim();
        (!name.is_empty()).then(|| name.replace("&amp;", "&"))
    };
    block.split("<license>").skip(1).filter_map(name).take(MAX_LICENCES).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::paragraph::paragraphs;
    use super::*;

    fn named(manifest: &str, path: &str) -> Option<(String, String)> {
        let manifest = unfolded(manifest);
        let head = paragraphs(&manifest).next().unwrap_or_default();
        package(&head, path).map(|package| (package.name, package.version))
    }

    #[test]
    fn names_without_maven() {
        let pair = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(named("", "/a/guava-31.1-jre.jar"), pair("guava", "31.1-jre"));
        let bundle = "Bundle-SymbolicName: org.apa\r\n che.commons;x=1\r\nBundle-Version: 2\r\n";
        assert_eq!(named(bundle, "/a/io-2.1.jar"), pair("org.apache.commons:io", "2.1"));
        assert_eq!(named(bundle, "/a/io.jar"), pair("org.apache.commons:io", "2"));
        assert_eq!(named("", "/a/application.jar"), None);
    }

    #[test]
    fn licences_of_a_pom() {
        let pom = "<name>x</name><licenses><license><name> MIT </name></license>\
                   <license><url>u</url></license></licenses>";
        assert_eq!(pom_licences(pom), ["MIT"]);
        assert_eq!(pom_licences("<licenses><license><name>MIT"), [""; 0]);
    }
}

//! Licences of Debian packages: `/usr/share/doc/PACKAGE/copyright`.
//!
//! Most are in DEP-5's format
//! (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>); of the others only the
//! references to `/usr/share/common-licenses` can be trusted.

use std::collections::BTreeSet;

use super::paragraph::paragraphs;
use super::{Found, licence};

const MAX_COPYRIGHT: u64 = 2 << 20;
const COMMON: &str = "/usr/share/common-licenses/";
/// Licences of one package; some list hundreds of short ones.
const MAX_LICENCES: usize = 64;

pub fn licences(found: &mut Found<'_>, package: &str) -> Vec<String> {
    if package.contains('/') {
        return Vec::new();
    }
    let path = format!("/usr/share/doc/{package}/copyright");
    found.text(&path, MAX_COPYRIGHT).map(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> Vec<String> {
    let mut licences = BTreeSet::new();
    let mut dep5 = false;
    for paragraph in paragraphs(text) {
        dep5 |= paragraph.get("Format").is_some_and(|f| f.contains("copyright-format"));
        if !dep5 {
            break;
        }
        // Paragraphs of a licence's text alone only explain what others name.
        if paragraph.get("Files").is_some() || paragraph.get("Format").is_some() {
            let names = paragraph.get("License").and_then(|l| l.lines().next());
            licences.extend(names.filter(|n| !n.is_empty()).map(licence::normal));
        }
    }
    if !dep5 {
        licences.extend(references(text));
    }
    licences.into_iter().take(MAX_LICENCES).collect()
}

fn references(text: &str) -> impl Iterator<Item = String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let later = words.contains("any later version");
    let name = |rest: &str| {
        let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
        let name = rest.split(end).next().unwrap_or_default().trim_end_matches('.').to_owned();
        (!name.is_empty()).then_some(name)
    };
    let names: Vec<String> = text.split(COMMON).skip(1).filter_map(name).collect();
    names.into_iter().map(move |name| {
        let family = name.contains("GPL") || name.contains("GFDL");
        licence::normal(&if family && later { format!("{name}+") } else { name })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep5_names_and_references() {
        let dep5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
                    \nFiles: *\nCopyright: 1 A\nLicense: Expat\n text\n\
                    \nFiles: debian/*\nLicense: GPL-2+ or BSD-3-clause\n\
                    \nFiles: odd\nLicense: own-terms\n\nLicense: GPL-3\n text";
        assert_eq!(parse(dep5), ["GPL-2.0-or-later OR BSD-3-Clause", "MIT", "own-terms"]);
        let old = "You may use it under version 2 or any\nlater version of the GPL, see\n\
                   /usr/share/common-licenses/GPL-2. Part: '/usr/share/common-licenses/Apache-2.0'";
        assert_eq!(parse(old), ["Apache-2.0", "GPL-2.0-or-later"]);
        assert_eq!(parse("nothing to see"), [""; 0]);
    }
}

//! What licences were called before SPDX: by Debian, by RPM, by registries of languages.

use super::BY_LOWER;

/// Lower case → identifier. Only names that can mean nothing else.
const LICENCES: &[(&str, &str)] = &[
    ("expat", "MIT"),
    ("mit license", "MIT"),
    ("mit licence", "MIT"),
    ("the mit license", "MIT"),
    ("mit license (mit)", "MIT"),
    ("mit/x11", "MIT"),
    ("apache 2.0", "Apache-2.0"),
    ("apache 2", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("the apache license, version 2.0", "Apache-2.0"),
    ("the apache software license, version 2.0", "Apache-2.0"),
    ("https://www.apache.org/licenses/license-2.0", "Apache-2.0"),
    ("https://www.apache.org/licenses/license-2.0.txt", "Apache-2.0"),
    ("http://www.apache.org/licenses/license-2.0.txt", "Apache-2.0"),
    ("asl 2.0", "Apache-2.0"),
    ("asl-2.0", "Apache-2.0"),
    ("isc license", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("bsd-4", "BSD-4-Clause"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd 2-clause license", "BSD-2-Clause"),
    ("bsd 3-clause license", "BSD-3-Clause"),
    ("new bsd license", "BSD-3-Clause"),
    ("simplified bsd license", "BSD-2-Clause"),
    ("boost", "BSL-1.0"),
    ("bsl-1", "BSL-1.0"),
    ("mplv1.1", "MPL-1.1"),
    ("mplv2.0", "MPL-2.0"),
    ("mpl 2.0", "MPL-2.0"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("eclipse public license 1.0", "EPL-1.0"),
    ("eclipse public license 2.0", "EPL-2.0"),
    ("eclipse public license - v 2.0", "EPL-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("psfl", "PSF-2.0"),
    ("psf", "PSF-2.0"),
    ("cc0", "CC0-1.0"),
    ("the unlicense (unlicense)", "Unlicense"),
    ("zlib license", "Zlib"),
    ("artistic-2", "Artistic-2.0"),
    ("artistic 2.0", "Artistic-2.0"),
    ("gnu general public license v2 (gplv2)", "GPL-2.0-only"),
    ("gnu general public license v2 or later (gplv2+)", "GPL-2.0-or-later"),
    ("gnu general public license v3 (gplv3)", "GPL-3.0-only"),
    ("gnu general public license v3 or later (gplv3+)", "GPL-3.0-or-later"),
    ("gnu lesser general public license v3 (lgplv3)", "LGPL-3.0-only"),
    ("gnu lesser general public license v3 or later (lgplv3+)", "LGPL-3.0-or-later"),
];

const EXCEPTIONS: &[(&str, &str)] = &[
    ("gcc-runtime exception", "GCC-exception-3.1"),
    ("gcc runtime library exception", "GCC-exception-3.1"),
    ("openssl exception", "cryptsetup-OpenSSL-exception"),
    ("autoconf exception", "Autoconf-exception-generic"),
    ("bison exception", "Bison-exception-2.2"),
    ("classpath exception", "Classpath-exception-2.0"),
    ("font exception", "Font-exception-2.0"),
    ("libtool exception", "Libtool-exception"),
    ("linux-syscall-note exception", "Linux-syscall-note"),
];

/// Families whose identifiers say `only` or `or later`.
const GNU: &[(&str, &str)] =
    &[("agpl", "AGPL"), ("lgpl", "LGPL"), ("gpl", "GPL"), ("gfdl", "GFDL")];

/// A text with operators in it that is one name all the same.
pub fn whole(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    LICENCES.iter().find(|(name, _)| *name == lower).map(|(_, id)| *id)
}

/// One licence.
pub fn licence(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if let Some(id) = gnu(&lower) {
        return Some(id);
    }
    if let Some(id) = BY_LOWER.get(&lower) {
        return Some((*id).to_owned());
    }
    if let Some(id) = whole(text) {
        return Some(id.to_owned());
    }
    let own = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if text.strip_prefix("LicenseRef-").is_some_and(|id| !id.is_empty() && id.chars().all(own)) {
        return Some(text.to_owned());
    }
    let later = BY_LOWER.get(lower.strip_suffix('+')?)?;
    Some(format!("{later}+"))
}

pub fn exception(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let listed = BY_LOWER.get(&lower).copied();
    listed.or_else(|| EXCEPTIONS.iter().find(|(name, _)| *name == lower).map(|(_, id)| *id))
}

/// `GPL-2`, `GPLv2+`, `LGPL-2.1-or-later`, `gpl 3.0`: family, version, and whether later ones do.
fn gnu(lower: &str) -> Option<String> {
    let (family, rest) =
        GNU.iter().find_map(|(name, family)| Some((family, lower.strip_prefix(name)?)))?;
    let rest = rest.trim_start_matches(['-', ' ', 'v']);
    let (number, later) = match rest {
        r if r.ends_with('+') => (r.trim_end_matches('+'), true),
        r if r.ends_with("-or-later") => (r.trim_end_matches("-or-later"), true),
        r => (r.trim_end_matches("-only"), false),
    };
    let version = match number {
        "1" | "2" | "3" => format!("{number}.0"),
        other => other.to_owned(),
    };
    let id = format!("{family}-{version}-{}", if later { "or-later" } else { "only" });
    BY_LOWER.get(&id.to_ascii_lowercase()).map(|id| (*id).to_owned())
}

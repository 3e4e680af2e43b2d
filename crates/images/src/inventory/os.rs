//! Which distribution an image is: os-release(5).

use serde::{Deserialize, Serialize};

use super::Found;
use crate::Rootfs;

const MAX_OS_RELEASE: u64 = 64 << 10;
/// In the order os-release(5) gives them.
const PLACES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// What os-release says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Os {
    /// `debian`, `ubuntu`, `alpine`, `photon`, …
    pub id: String,
    /// `12`, `22.04`, `3.18.4`, `5.0`; empty for rolling ones.
    #[serde(default)]
    pub version_id: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    #[serde(default)]
    pub name: String,
}

impl Os {
    /// `None` when the image has no os-release or it cannot be read.
    pub fn of(rootfs: &Rootfs) -> Option<Self> {
        let mut found = Found { rootfs, os: None, packages: Vec::new(), notes: Vec::new() };
        read(&mut found)
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text.lines().rev().find_map(|line| {
                line.trim().strip_prefix(key).and_then(|rest| rest.strip_prefix('='))
            });
            line.map(unquoted).unwrap_or_default()
        };
        let id = value("ID").to_lowercase();
        let name = Some(value("PRETTY_NAME")).filter(|n| !n.is_empty());
        let name = name.unwrap_or_else(|| value("NAME"));
        (!id.is_empty()).then(|| Self { id, version_id: value("VERSION_ID"), name })
    }

    /// `debian-12`: the `distro` of package URLs.
    pub fn distro(&self) -> String {
        if self.version_id.is_empty() {
            return self.id.clone();
        }
        format!("{}-{}", self.id, self.version_id)
    }
}

pub(super) fn read(found: &mut Found<'_>) -> Option<Os> {
    for place in PLACES {
        let Some(text) = found.text(place, MAX_OS_RELEASE) else { continue };
        let os = Os::parse(&text);
        if os.is_none() {
            found.note(place, "has no ID");
        }
        return os;
    }
    None
}

/// Shell quotes away; a backslash keeps the next character.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|q| value.strip_prefix(q).and_then(|rest| rest.strip_suffix(q)));
    let mut out = String::new();
    let mut chars = inner.unwrap_or(value).chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_missing_values() {
        let text = "PRETTY_NAME=\"Photon \\\"5\\\"\"\nID='photon'\nVERSION_ID=5.0\n";
        let os = Os::parse(text).expect("it has an id");
        assert_eq!((os.id.as_str(), os.version_id.as_str()), ("photon", "5.0"));
        assert_eq!(os.name, "Photon \"5\"");
        assert_eq!(os.distro(), "photon-5.0");
        assert_eq!(Os::parse("ID=arch\nNAME=Arch").expect("it has an id").distro(), "arch");
        assert_eq!(Os::parse("NAME=x\nVERSION_ID=1"), None);
    }
}

//! What a server or client is, and how its binary comes to know.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Version {
    pub version: String,
    pub commit: String,
    pub build_date: String,
    pub platform: String,
    pub compiler: String,
}

/// The [`Version`] of the package this stands in, all but the commit: its build script tells the
/// rest.
#[macro_export]
macro_rules! version {
    () => {
        $crate::Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: "unknown".to_owned(),
            build_date: env!("DISPATCH_BUILD_DATE").to_owned(),
            platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            compiler: env!("DISPATCH_COMPILER").to_owned(),
        }
    };
}

/// The commit the package was built from. Only for `main.rs`: what uses it is compiled again at
/// every commit.
#[macro_export]
macro_rules! commit {
    () => {{
        const COMMIT: [u8; 40] =
            $crate::version::newest(include_bytes!(env!("DISPATCH_COMMIT_LOG")));
        $crate::version::name(&COMMIT)
    }};
}

/// The second word of the last line, as git's logs have it; zeros when it is no commit.
pub const fn newest(log: &[u8]) -> [u8; 40] {
    let mut commit = [0; 40];
    let mut at = log.len().saturating_sub(1);
    while at > 0 && log[at - 1] != b'\n' {
        at -= 1;
    }
    while at < log.len() && log[at] != b' ' {
        at += 1;
    }
    let mut i = 0;
    while i < 40 {
        if at + 1 + i >= log.len() || !log[at + 1 + i].is_ascii_hexdigit() {
            return [0; 40];
        }
        commit[i] = log[at + 1 + i];
        i += 1;
    }
    commit
}

/// A commit as text.
pub fn name(commit: &'static [u8; 40]) -> &'static str {
    match std::str::from_utf8(commit) {
        Ok(text) if commit[0] != 0 => text,
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_log_names_the_commit() {
        let log = |commit: &str| format!("{0} {1} A\tx\n{1} {commit} A\tx\n", "0".repeat(40), "1");
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(newest(log(commit).as_bytes()), commit.as_bytes());
        for none in ["", "\n", "- \n", "- unknown\n", "- $Format:%H$\n", &log("12")] {
            assert_eq!(newest(none.as_bytes()), [0; 40], "{none:?}");
        }
        assert_eq!(name(&[0; 40]), "unknown");
        assert_eq!(name(&[b'a'; 40]), "a".repeat(40));
    }
}

//! What a source that is one file is called, since handlers name files and modules.

use serde::Deserialize;

/// Names of source files.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Without their dot; a file whose handler has none of them gets the first.
    pub extensions: Vec<String>,
    /// Which part of the handler names the file.
    pub name: SourceName,
}

/// Which part of the handler names the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceName {
    /// None: it is always called `handler`.
    Fixed,
    /// All of it: `./file.js`.
    Path,
    /// `file.function`, `file.ps1::function`.
    BeforeFirstDot,
    /// `package.module.function`.
    BeforeLastDot,
    /// `package.Class`.
    AfterLastDot,
}

/// Of a source whose handler names no file.
const UNNAMED: &str = "handler";

impl Source {
    /// The name that the handler expects of a source that is one file.
    pub fn file_name(&self, handler: &str) -> String {
        let Some(usual) = self.extensions.first() else { return UNNAMED.to_owned() };
        let mut extension = usual;
        let stem = match self.name {
            SourceName::Fixed => None,
            SourceName::Path => {
                let path = handler.trim_start_matches("./");
                let named = self.extensions.iter().find_map(|known| {
                    Some((path.strip_suffix(known.as_str())?.strip_suffix('.')?, known))
                });
                extension = named.map_or(usual, |(_, known)| known);
                Some(named.map_or(path, |(stem, _)| stem))
            }
            SourceName::BeforeFirstDot => handler.split_once('.').map(|(stem, _)| stem),
            SourceName::BeforeLastDot => handler.rsplit_once('.').map(|(stem, _)| stem),
            SourceName::AfterLastDot => handler.rsplit('.').next(),
        };
        format!("{}.{extension}", stem.filter(|stem| is_plain(stem)).unwrap_or(UNNAMED))
    }
}

fn is_plain(stem: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !stem.is_empty() && stem.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rule: SourceName, extensions: &[&str], handler: &str) -> String {
        let extensions = extensions.iter().map(|e| (*e).to_owned()).collect();
        Source { extensions, name: rule }.file_name(handler)
    }

    #[test]
    fn a_single_file_is_called_as_its_handler_expects() {
        use SourceName::*;
        assert_eq!(name(BeforeLastDot, &["py"], "hello.handle"), "hello.py");
        assert_eq!(name(BeforeLastDot, &["py"], "a.b.handle"), "handler.py");
        assert_eq!(name(BeforeLastDot, &["py"], "../x.handle"), "handler.py");
        assert_eq!(name(Path, &["js", "mjs"], "./hello.js"), "hello.js");
        assert_eq!(name(Path, &["js", "mjs"], "./hello.mjs"), "hello.mjs");
        assert_eq!(name(Path, &["js", "mjs"], "./hello"), "hello.js");
        assert_eq!(name(Path, &["js", "mjs"], ""), "handler.js");
        assert_eq!(name(AfterLastDot, &["java"], "io.x.Hello"), "Hello.java");
        assert_eq!(name(BeforeFirstDot, &["ps1"], "hello.ps1::handle"), "hello.ps1");
        assert_eq!(name(Fixed, &[], "./program"), "handler");
    }
}

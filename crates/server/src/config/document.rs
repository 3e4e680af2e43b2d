//! The reference of all settings, made from the defaults and their comments.

use std::fmt::Write as _;

use super::DEFAULT;

const INTRODUCTION: &str = "\
# Settings of dispatch-server

<!-- Made from crates/server/src/config/default.toml: do not edit. -->

Layers, the later before the earlier: these defaults, a file (`--config FILE`, TOML), environment
variables, flags. A setting that is not listed here is an error. Times and sizes have their unit in
the name; an empty text means \"not set\". `dispatch-server check-config` tries a configuration out.
";

/// `docs/reference/config.md`.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in DEFAULT.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_owned();
            heading(&mut page, &section);
            comment.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            entry(&mut page, &section, key, value, &comment.join(" "));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    page
}

fn heading(page: &mut String, section: &str) {
    let line = "| setting | default | environment | meaning |\n|---|---|---|---|";
    writeln!(page, "\n## [{section}]\n\n{line}").expect("writing to a String does not fail");
}

fn entry(page: &mut String, section: &str, key: &str, value: &str, meaning: &str) {
    let variable = format!("DISPATCH_{}__{}", section.to_uppercase(), key.to_uppercase());
    let meaning = meaning.replace('|', "\\|");
    writeln!(page, "| `{key}` | `{value}` | `{variable}` | {meaning} |")
        .expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    #[test]
    fn the_reference_is_up_to_date() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let path = root.join("docs/reference/config.md");
        let made = markdown();
        if std::env::var_os("DISPATCH_UPDATE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "docs/reference/config.md differs from default.toml: DISPATCH_UPDATE=1 cargo test -p \
             dispatch-server --lib reference"
        );
    }

    #[test]
    fn every_setting_is_explained() {
        let page = markdown();
        let unexplained: Vec<&str> = page.lines().filter(|line| line.ends_with("|  |")).collect();
        assert!(unexplained.is_empty(), "{unexplained:?}");
        assert!(Layers::default().config().is_ok());
    }
}

//! House rules a machine can check: size of files, width of lines, and how files open.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::shell;

const MAX_LINES: usize = 800;
const MAX_COLUMNS: usize = 100;

/// Reads every Rust file of the workspace and reports all rules broken at once.
pub fn run() -> Result<()> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&shell::root().join(folder), &mut files)?;
    }
    let mut broken = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file)?;
        let name = file.strip_prefix(shell::root()).unwrap_or(file).display().to_string();
        check(&name, &text, &mut broken);
    }
    if !broken.is_empty() {
        bail!("{} house rules broken:\n  {}", broken.len(), broken.join("\n  "));
    }
    println!("    {} Rust files follow the house rules", files.len());
    Ok(())
}

fn check(name: &str, text: &str, broken: &mut Vec<String>) {
    if !text.starts_with("//!") {
        broken.push(format!("{name}: does not open with //! saying what lives there"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        broken.push(format!("{name}: {lines} lines, at most {MAX_LINES}"));
    }
    for (number, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > MAX_COLUMNS {
            broken.push(format!("{name}:{}: {columns} columns", number + 1));
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_reported() {
        let mut broken = Vec::new();
        check("good.rs", "//! Good.\n", &mut broken);
        assert!(broken.is_empty());
        let wide = format!("fn main() {{}}\n{}\n", "x".repeat(MAX_COLUMNS + 1));
        check("bad.rs", &(wide + &"\n".repeat(MAX_LINES)), &mut broken);
        assert_eq!(broken.len(), 3, "{broken:?}");
    }
}

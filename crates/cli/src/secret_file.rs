//! Secrets that a file or standard input gives. No error quotes them.

use std::path::Path;

use anyhow::{Context as _, Result};

/// The text of a file, or of standard input for `-`, without the space around it.
pub fn read(file: &Path) -> Result<String> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    Ok(text.trim().to_owned())
}

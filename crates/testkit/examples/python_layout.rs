//! Writes an OCI layout of this machine's Python, and what it was made of beside it:
//! `python_layout DIR`. Its tag is `python`; it lies in `DIR/layout`, its files in `DIR/root-12`.

use std::path::Path;

use anyhow::{Context, Result};
use dispatch_systems::image::python_layout;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("the directory is missing")?;
    python_layout(Path::new(&folder), "12").await;
    Ok(())
}

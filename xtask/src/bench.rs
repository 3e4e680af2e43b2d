//! `cargo xtask bench`.

use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub struct Arguments {}

pub fn run(_arguments: &Arguments) -> Result<()> {
    Ok(())
}

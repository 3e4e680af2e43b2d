//! `cargo xtask check`: everything a change must pass.

use std::process::Command;

use anyhow::Result;

use crate::{shell, test};

pub fn run() -> Result<()> {
    clippy(&["--lib", "--bins", "--", "-D", "warnings"])?;
    // What tests share may unwrap, as tests do.
    clippy(&["--all-targets", "--", "-D", "warnings", "-A", "clippy::unwrap_used"])?;
    test::run(&test::Arguments::everything())
}

fn clippy(arguments: &[&str]) -> Result<()> {
    shell::say("clippy");
    let mut clippy = Command::new(env!("CARGO"));
    clippy.current_dir(shell::root()).args(["clippy", "--workspace"]).args(arguments);
    shell::run(&mut clippy)
}

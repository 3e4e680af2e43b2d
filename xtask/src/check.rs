//! `cargo xtask check`: everything a change must pass.

use std::process::Command;

use anyhow::Result;

use crate::{shell, test};

pub fn run() -> Result<()> {
    shell::say("clippy");
    let mut clippy = Command::new(env!("CARGO"));
    clippy.current_dir(shell::root());
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::run(&mut clippy)?;
    test::run(&test::Arguments::everything())
}

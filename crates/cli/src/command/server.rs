//! `dispatch server`: hands over to `dispatch-server`, beside this command or in PATH.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Result;

pub fn run(words: &[String]) -> Result<()> {
    let beside = std::env::current_exe()?.with_file_name("dispatch-server");
    let program = if beside.is_file() { beside } else { "dispatch-server".into() };
    // Returns only when it fails.
    let error = Command::new(&program).args(words).exec();
    Err(anyhow::Error::new(error).context(format!("cannot start {}", program.display())))
}

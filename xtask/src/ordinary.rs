//! The sandbox's tests once more as an ordinary user, where the suite itself runs as root: plans
//! and limits differ between the two.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Debian's user for programs that own nothing.
const NOBODY: u32 = 65534;

pub fn run(filter: Option<&str>) -> Result<()> {
    if !shell::is_root() {
        return Ok(());
    }
    if !shell::has("setpriv") {
        println!("could not run: the sandbox's tests as an ordinary user need `setpriv`");
        return Ok(());
    }
    shell::say("testing the sandbox as an ordinary user");
    // Copies, as the checkout may be root's alone.
    let folder = tempfile::Builder::new().prefix("dispatch-ordinary-").tempdir()?;
    let open = |mode| std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode));
    open(0o755)?;
    let tests = copy(&test_binary()?, &folder.path().join("tests"))?;
    let init = copy(&shell::binary("dispatch-sandbox-init"), &folder.path().join("init"))?;
    // As it would be installed by that user: functions must not reach it all the same.
    std::os::unix::fs::chown(&init, Some(NOBODY), Some(NOBODY))?;
    open(0o777)?;
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    let mut command = Command::new("setpriv");
    command.args([&user, &group, "--clear-groups"]).arg(tests).args(filter);
    command.current_dir(folder.path()).env("DISPATCH_SANDBOX_INIT", init);
    command.env("HOME", folder.path()).env("TMPDIR", folder.path());
    shell::run(&mut command)
}

/// Where cargo put the tests of the process engine.
fn test_binary() -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(shell::root()).args(["test", "--workspace", "--no-run"]);
    cargo.arg("--message-format=json");
    let messages = shell::run_quietly("finding the tests of the process engine", &mut cargo)?;
    let source = shell::root().join("crates/sandbox/tests/process.rs");
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let binary = messages
        .filter(|m| m["target"]["src_path"].as_str().is_some_and(|path| source == Path::new(path)))
        .find_map(|m| m["executable"].as_str().map(PathBuf::from));
    binary.with_context(|| format!("cargo names no test made of {}", source.display()))
}

fn copy(from: &Path, to: &Path) -> Result<PathBuf> {
    std::fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o755))?;
    Ok(to.to_owned())
}

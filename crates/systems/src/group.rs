//! A program and all that it starts, which end with the one who started it, even when that is
//! killed.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Runs a program until its own input ends. Then the program is asked to end, and a minute later
/// at the latest the whole group is killed.
const SCRIPT: &str = r#"
    "$@" </dev/null &
    program=$!
    read -r line
    kill "$program" 2>/dev/null
    { sleep 60; kill -KILL 0; } &
    wait "$program" 2>/dev/null
    kill -KILL 0
"#;

/// A group of processes; ended when dropped.
pub struct Group(Child);

impl Group {
    /// What runs a program; arguments, variables and the like are added to it.
    pub fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(program);
        command
    }

    /// Starts what [`Group::command`] made. Nobody else has the other end of its input, which the
    /// kernel closes when this process ends.
    pub fn start(command: Command) -> Self {
        Self::owned(command, Stdio::piped())
    }

    fn owned(mut command: Command, input: Stdio) -> Self {
        let child = command.stdin(input).process_group(0).spawn();
        Self(child.unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends by itself.
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn until(what: &str, so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A program that leaves another one behind, whose number it writes down.
    fn leaving(file: &Path) -> Command {
        let mut command = Group::command("sh");
        command.args(["-c", "sleep 1000 & echo $! >\"$0.new\"; mv \"$0.new\" \"$0\"; wait"]);
        command.arg(file);
        command
    }

    /// The one left behind.
    fn left(file: &Path) -> PathBuf {
        until("it is started", || file.is_file());
        let number = std::fs::read_to_string(file).unwrap();
        let left = Path::new("/proc").join(number.trim());
        assert!(runs(&left), "{} runs", left.display());
        left
    }

    /// Whether it is there and more than its end's record, which its new parent has to fetch.
    fn runs(process: &Path) -> bool {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        status.contains("\nState:") && !status.contains("\nState:\tZ")
    }

    #[test]
    fn what_a_program_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("left");
        let group = Group::start(leaving(&file));
        let left = left(&file);
        drop(group);
        until("what it left is gone", || !runs(&left));
    }

    #[test]
    fn a_program_ends_with_its_owner_that_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("left");
        let mut owner = Command::new("sleep").arg("1000").stdout(Stdio::piped()).spawn().unwrap();
        let output = owner.stdout.take().unwrap();
        let mut group = Group::owned(leaving(&file), output.into());
        let left = left(&file);
        owner.kill().unwrap();
        owner.wait().unwrap();
        until("what it left is gone", || !runs(&left));
        assert!(!group.0.wait().unwrap().success());
    }
}

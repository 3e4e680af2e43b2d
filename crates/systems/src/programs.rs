//! Programs of this machine that tests run.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

/// Whether this process is root, and these programs are there; says what is missing, plainly.
pub fn has_root_and(programs: &[&str]) -> bool {
    let root = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    if root.ok() != Some(0) {
        println!("could not run: only root may start what this test needs");
        return false;
    }
    has(programs)
}

/// Whether these programs are there; says what is missing, plainly.
pub fn has(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| find(name).is_none()).collect();
    if !missing.is_empty() {
        println!("could not run: {missing:?} are not here; `cargo xtask test` installs them");
    }
    missing.is_empty()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Runs a program to its end and returns what it printed.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    finished(Command::new(program).args(arguments))
}

/// Runs a command to its end and returns what it printed.
#[track_caller]
pub(crate) fn finished(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let (text, error) = (String::from_utf8_lossy(&output.stdout), output.stderr);
    let error = String::from_utf8_lossy(&error);
    assert!(output.status.success(), "{command:?}: {}\n{text}{error}", output.status);
    text.trim().to_owned()
}

/// An address that nobody has now.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    listener.local_addr().expect("it has an address")
}

/// Where `cargo xtask` keeps tools: beside what is built, to be made once.
pub(crate) fn tools() -> PathBuf {
    if let Some(folder) = std::env::var_os("DISPATCH_TEST_TOOLS_DIR") {
        return folder.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(3).expect("a test lies in target/x/deps").join("tools")
}

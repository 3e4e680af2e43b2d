//! The built `dispatch` command in a test: with a home of its own, and no variables but those it is
//! given.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::binary;

/// A person at a terminal.
pub struct Cli {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Cli {
    /// Somebody whose environment names the server at `api` (`http://HOST:PORT`).
    pub fn of(api: &str) -> Self {
        let address = api.trim_start_matches("http://");
        let (host, port) = address.rsplit_once(':').expect("an address has a port");
        Self::new().with("DISPATCH_HOST", host).with("DISPATCH_PORT", port)
    }

    /// Somebody whose environment says nothing.
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary directory"), variables: Vec::new() }
    }

    /// With a variable set, or unset when the value is empty.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.variables.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The home directory, which commands are run in.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file below the home directory; returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.home().join(name);
        let folder = file.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder).expect("the folder is made");
        std::fs::write(&file, text).expect("the file is written");
        file
    }

    /// Runs a command line; words are separated by spaces, `'` quotes them.
    pub fn run(&self, line: &str) -> Outcome {
        self.run_with_input(line, "")
    }

    pub fn run_with_input(&self, line: &str, input: &str) -> Outcome {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("its input is piped");
        // A command that does not read its input closes it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("the command ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Outcome { status: output.status, stdout, stderr }
    }

    /// Starts a command that goes on, and calls `act` with each line it prints until that says
    /// enough.
    pub fn follow(&self, line: &str, mut enough: impl FnMut(&str) -> bool) {
        let mut child = self.command(line).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let found = lines.any(|line| enough(&line.expect("output is UTF-8")));
        end(&mut child);
        assert!(found, "`dispatch {line}` ended before it printed what was waited for");
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(binary("dispatch"));
        command.args(words(line)).current_dir(self.home()).env_clear();
        command.env("HOME", self.home()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command line that succeeds, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.run(line).ok(line)
    }

    /// The same, as JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("{line} -o json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("`dispatch {line}`: {e}: {text}"))
    }

    /// Runs a command line that fails: exit code 1, nothing on stdout. Returns what it said.
    #[track_caller]
    pub fn fails(&self, line: &str) -> String {
        let outcome = self.run(line);
        assert_eq!(outcome.status.code(), Some(1), "`dispatch {line}`: {outcome:?}");
        assert_eq!(outcome.stdout, "", "`dispatch {line}`: {outcome:?}");
        outcome.stderr
    }
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

impl Outcome {
    #[track_caller]
    pub fn ok(self, line: &str) -> String {
        assert!(self.status.success(), "`dispatch {line}`: {self:?}");
        self.stdout
    }
}

fn end(child: &mut Child) {
    // Both fail only when it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

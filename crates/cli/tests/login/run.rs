//! The command, in a home of its own.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// A browser of these shell commands; the address is `$1`.
    pub fn browser(&self, commands: &str) -> PathBuf {
        let file = self.file("browser", &format!("#!/bin/sh\n{commands}\n"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.path().join(name).exists()
    }

    /// Waits until a file holds a text, which somebody may be writing still.
    pub fn wait_for(&self, name: &str, text: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        let file = self.0.path().join(name);
        let found = || std::fs::read_to_string(&file).unwrap_or_default();
        while !found().contains(text) {
            assert!(Instant::now() < end, "{name}: {}", found());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The configuration's current context.
    pub fn context(&self) -> Value {
        let file = self.0.path().join(".dispatch/config.json");
        let config: Value =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap_or_default())
                .unwrap_or_default();
        let current = config["current"].as_str().unwrap_or_default();
        config["contexts"][current].clone()
    }

    /// The command with words after spaces, without a terminal, a display and variables of ours.
    pub fn command(&self, port: u16, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
        command.args(words.split_whitespace()).current_dir(self.0.path());
        command.env_clear().env("HOME", self.0.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("DISPATCH_HOST", "127.0.0.1").env("DISPATCH_PORT", port.to_string());
        command.env("TZ", "UTC").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, port: u16, words: &str) -> Said {
        Said::of(&mut self.command(port, words))
    }

    /// The same with something on standard input.
    pub fn run_with(&self, port: u16, words: &str, input: &str) -> Said {
        let mut child = self.command(port, words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Said::at_end(child)
    }
}

/// What a command said, and whether it succeeded.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(command: &mut Command) -> Self {
        Self::at_end(command.spawn().unwrap())
    }

    /// A command that waits for what does not come is ended, which is no success.
    pub fn at_end(mut child: Child) -> Self {
        let end = Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Self { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }

    /// The error, which shows none of the secrets.
    pub fn failed(&self, secrets: &[&str]) -> &str {
        assert_eq!(self.code, 1, "{self:?}");
        for secret in secrets {
            assert!(!self.out.contains(secret) && !self.err.contains(secret), "{secret}: {self:?}");
        }
        &self.err
    }
}

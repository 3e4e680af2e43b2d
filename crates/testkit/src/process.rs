//! The real server as a process of its own: for what only a process can show, such as `kill -9`.

use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::{Client, Database};

/// A running `dispatch-server` and its client; killed when dropped.
pub struct Process {
    child: Child,
    client: Client,
    /// All that the server said when it was ready.
    pub ready: Value,
}

/// Settings as the environment gives them: `DISPATCH_SECTION__KEY` and its value.
pub type Environment<'a> = &'a [(&'a str, &'a str)];

/// Where a binary of ours is: cargo puts it one directory above the tests.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("a test lies in target/x/deps");
    let binary = folder.join(name);
    assert!(binary.is_file(), "{} is missing: cargo build --workspace --bins", binary.display());
    binary
}

pub fn server_binary() -> PathBuf {
    binary("dispatch-server")
}

impl Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Process {
    /// Starts the server on a data directory and free ports; its log goes to `server.log` there.
    pub fn start(data: &Path) -> Self {
        Self::start_on(data, &Database::sqlite(), &[])
    }

    /// The same on a database and with settings.
    pub fn start_on(data: &Path, database: &Database, settings: Environment<'_>) -> Self {
        let log = data.join("server.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let mut command = run(data, database, settings);
        command.stdout(Stdio::piped()).stderr(file.expect("a log file"));
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("its output is text");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("no ready line: {}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        let address = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Self { child, client: Client::new(address("api"), address("gatewayHttp")), ready }
    }

    /// What a server says that does not start.
    pub fn refused(data: &Path, settings: Environment<'_>) -> String {
        let mut command = run(data, &Database::sqlite(), settings);
        let output = command.output().expect("the server can be tried");
        assert!(!output.status.success(), "it started");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, and how the server ended.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.expect("there is a kill command").success());
        self.child.wait().expect("it ends")
    }

    fn end(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(data: &Path, database: &Database, settings: Environment<'_>) -> Command {
    let mut command = Command::new(server_binary());
    command.args(["run", "--ready-json", "--data-dir"]).arg(data);
    command.args(["--database", database.url()]);
    for flag in ["--api", "--gateway-http", "--gateway-https"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command.envs(settings.iter().copied());
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

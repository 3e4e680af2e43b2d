//! The real server as a process of its own: for what only a process can show, such as `kill -9`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

/// A running `dispatch-server`; killed when dropped.
pub struct Process {
    child: Child,
    /// `http://ADDRESS`.
    pub api: String,
    pub gateway: String,
    /// `https://ADDRESS`.
    pub gateway_https: String,
    /// All that the server said when it was ready.
    pub ready: Value,
}

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

impl Process {
    /// Starts the server on a data directory and free ports; its log goes to `server.log` there.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more variables in its environment.
    pub fn start_with(data: &Path, environment: &[(&str, &str)]) -> Self {
        let log = data.join("server.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let mut command = Command::new(server_binary());
        command.args(["run", "--ready-json", "--data-dir"]).arg(data);
        for flag in ["--api", "--gateway-http", "--gateway-https"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        command.envs(environment.iter().copied());
        command.stdout(Stdio::piped()).stderr(file.expect("a log file"));
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("its output is text");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("no ready line: {}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        let url = |scheme, key| format!("{scheme}://{}", ready[key].as_str().unwrap_or_default());
        let (api, gateway) = (url("http", "api"), url("http", "gatewayHttp"));
        let gateway_https = url("https", "gatewayHttps");
        Self { child, api, gateway, gateway_https, ready }
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

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

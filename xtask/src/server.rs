//! A `dispatch-server` process started for the demo or a measurement, and commands against it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;

/// A running server with its own data directory; stopped when dropped.
pub struct Server {
    child: Child,
    pub dispatch: PathBuf,
    pub data: PathBuf,
    pub api: String,
    pub gateway_http: String,
    pub gateway_https: String,
}

impl Server {
    /// Starts the server on the addresses given (port 0 takes a free one) and waits until it
    /// serves.
    pub fn start(binary: &Path, data: &Path, addresses: [&str; 3]) -> Result<Self> {
        Self::start_as(Command::new(binary), binary, data, addresses)
    }

    /// On free ports and the first core only; a server that knows of one core starts one worker
    /// thread. Settings are variables of its environment: `DISPATCH_SECTION__KEY` and a value.
    pub fn start_pinned(binary: &Path, data: &Path, settings: &[(&str, String)]) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(binary);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        Self::start_as(command, binary, data, ["127.0.0.1:0"; 3])
    }

    fn start_as(
        mut command: Command,
        binary: &Path,
        data: &Path,
        addresses: [&str; 3],
    ) -> Result<Self> {
        command.args(["run", "--ready-json", "--data-dir"]).arg(data);
        let flags = ["--api", "--gateway-http", "--gateway-https"];
        for (flag, address) in flags.into_iter().zip(addresses) {
            command.args([flag, address]);
        }
        let tools = crate::setup::tools();
        command.env("DISPATCH_WASM__TOOLS_DIR", tools);
        let log = std::fs::File::create(data.join("server.log"))?;
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().context("the server's output is not readable")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(_) => {
                let log = std::fs::read_to_string(data.join("server.log")).unwrap_or_default();
                bail!("the server did not start: {line}{log}");
            }
        };
        let address = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            child,
            dispatch: binary.with_file_name("dispatch"),
            data: data.to_owned(),
            api: address("api"),
            gateway_http: address("gatewayHttp"),
            gateway_https: address("gatewayHttps"),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A `dispatch` command against this server, with a configuration file of its own.
    pub fn dispatch(&self, arguments: &[&str]) -> Command {
        let (host, port) = self.api.rsplit_once(':').unwrap_or((&self.api, "8080"));
        let mut command = Command::new(&self.dispatch);
        command.args(arguments).current_dir(shell::root());
        command.env("DISPATCH_CONFIG", self.data.join("cli.json"));
        command.env("DISPATCH_HOST", host).env("DISPATCH_PORT", port);
        command.env("DISPATCH_SCHEME", "http");
        command
    }

    /// The certificate the gateway made for itself.
    pub fn certificate(&self) -> PathBuf {
        self.data.join("gateway/tls.crt")
    }

    /// Waits until the server ends by itself (it does not, unless stopped).
    pub fn wait(&mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A graceful stop first: it is what an operator does, so the demo shows it working.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            // It is gone already; wait below collects it.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

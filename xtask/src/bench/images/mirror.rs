//! A package index on this machine (PEP 503), so that builds need no network.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use crate::shell;

/// The only package there is, as a requirement.
pub const REQUIREMENT: &str = "greet==1.0\n";

const WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("greet.py", "WORD = 'hello'\n")
    about = "greet-1.0.dist-info/"
    wheel.writestr(about + "METADATA",
        "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\nLicense: MIT\n")
    wheel.writestr(about + "WHEEL",
        "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(about + "RECORD", "")
"#;

/// The web server of the index; stopped when dropped.
pub struct Mirror {
    child: Child,
    pub port: u16,
    asked: Arc<AtomicUsize>,
}

impl Mirror {
    /// Makes the package in a folder and serves it.
    pub fn start(folder: &Path) -> Result<Self> {
        let site = folder.join("mirror/simple/greet");
        std::fs::create_dir_all(&site)?;
        let name = "greet-1.0-py3-none-any.whl";
        let mut make = Command::new("python3");
        make.args(["-c", WHEEL]).arg(site.join(name));
        shell::run_quietly("making a wheel", &mut make)?;
        std::fs::write(site.join("index.html"), format!("<a href=\"{name}\">{name}</a>"))?;
        let mut serve = Command::new("python3");
        serve.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
        serve.arg(folder.join("mirror")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = serve.spawn().context("cannot start python3")?;
        let (output, log) = (child.stdout.take(), child.stderr.take());
        let mut mirror = Self { child, port: 0, asked: Arc::default() };
        let mut line = String::new();
        BufReader::new(output.context("no output")?).read_line(&mut line)?;
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next());
        let port = port.and_then(|port| port.parse().ok());
        mirror.port = port.with_context(|| format!("the package index says {line:?}"))?;
        let (counted, log) = (mirror.asked.clone(), BufReader::new(log.context("no log")?));
        std::thread::spawn(move || {
            for _ in log.lines() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(mirror)
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // Both calls fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

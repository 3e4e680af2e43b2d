//! What Dispatch is compared with: a bare hyper server, and Flask on waitress.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{setup, shell};

/// A baseline server on the first core; stopped when dropped.
pub struct Baseline {
    child: Child,
    pub url: String,
}

impl Drop for Baseline {
    fn drop(&mut self) {
        // Both calls fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// hyper answering "hello" and nothing else.
pub fn hyper(binary: &Path) -> Result<Baseline> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(binary).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    Ok(Baseline { child, url: format!("http://{}/", line.trim()) })
}

const FLASK: &str = r#"
import sys
from flask import Flask, request, jsonify
from waitress import serve
app = Flask(__name__)

@app.route("/", methods=["POST"])
def call():
    payload = request.get_json()
    return jsonify({"greeting": f"Hello, {payload.get('name', 'Noone')}"})

serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=8, _quiet=True)
"#;

/// The usual Python template of other FaaS: Flask on waitress, with nothing in front.
pub fn flask() -> Result<Baseline> {
    let python = setup::tools().join("flask");
    if !python.join("bin/waitress-serve").is_file() {
        let mut venv = Command::new("python3");
        shell::run_quietly("making an environment", venv.args(["-m", "venv"]).arg(&python))?;
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "--quiet", "flask", "waitress"]);
        shell::run_quietly("installing Flask and waitress", &mut pip)?;
    }
    let port = free_port()?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(Path::new(&python).join("bin/python"));
    command.args(["-c", FLASK, &port.to_string()]).stderr(Stdio::null());
    let child = command.spawn()?;
    let baseline = Baseline { child, url: format!("http://127.0.0.1:{port}/") };
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > Duration::from_secs(20) {
            bail!("Flask did not start");
        }
        std::thread::yield_now();
    }
    Ok(baseline)
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

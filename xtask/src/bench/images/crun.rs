//! What first calls are compared with: `crun run` of a program that does nothing, on the same
//! files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::bench::http::quantile_ms;
use crate::shell;

/// crun with a bundle, or why there is none.
pub enum Peer {
    Here { bundle: PathBuf, times: Vec<Duration> },
    Absent(String),
}

impl Peer {
    /// Makes a bundle of a tree that has busybox in it, and tries it.
    pub fn new(folder: &Path, root: &Path) -> Result<Self> {
        if !shell::has("crun") {
            return Ok(Self::Absent("no crun here".to_owned()));
        }
        let bundle = folder.join("bundle");
        make(&bundle, root)?;
        let mut peer = Self::Here { bundle, times: Vec::new() };
        if let Err(error) = peer.run() {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            peer = Self::Absent(format!("crun cannot run here: {first}"));
        }
        Ok(peer)
    }

    /// One container from start to end. It may use both cores, so it is not the slower for that.
    pub fn run(&mut self) -> Result<()> {
        let Self::Here { bundle, times } = self else { return Ok(()) };
        let mut crun = Command::new("crun");
        crun.arg("--root").arg(bundle.join("state")).args(["run", "--bundle"]).arg(&*bundle);
        crun.arg(format!("dispatch-bench-{}-{}", std::process::id(), times.len()));
        crun.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let output = crun.output().context("cannot start crun")?;
        let took = began.elapsed();
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        times.push(took);
        Ok(())
    }

    /// For the table.
    pub fn describe(self) -> String {
        match self {
            Self::Absent(why) => why,
            Self::Here { mut times, .. } => {
                let (p50, p99) = (quantile_ms(&mut times, 0.5), quantile_ms(&mut times, 0.99));
                format!("crun run /bin/true: {p50:.1} ms / {p99:.1} ms")
            }
        }
    }
}

fn make(bundle: &Path, root: &Path) -> Result<()> {
    std::fs::create_dir_all(bundle)?;
    let link = root.join("bin/true");
    if !link.exists() {
        std::os::unix::fs::symlink("busybox", link)?;
    }
    let mut spec = Command::new("crun");
    spec.arg("spec").current_dir(bundle);
    shell::run_quietly("making a bundle", &mut spec)?;
    let file = bundle.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    config["root"] = json!({"path": root, "readonly": true});
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = json!(["/bin/true"]);
    std::fs::write(&file, config.to_string())?;
    Ok(())
}

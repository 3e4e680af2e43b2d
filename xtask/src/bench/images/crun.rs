//! What first calls are compared with: `crun run` of a program that does nothing, on the same
//! files.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::bench::http::quantile_ms;
use crate::shell;

/// Runs a container for each line it reads, and says how that ended. crun refuses machines that
/// have both versions of control groups, so the second is taken away from this shell alone.
const LOOP: &str = "\
umount /sys/fs/cgroup/unified 2>/dev/null
while read -r name; do
    crun --root \"$0/state\" run --bundle \"$0\" \"$name\" </dev/null >/dev/null 2>\"$0/errors\"
    echo $?
done
";

/// crun with a bundle, or why there is none.
pub enum Peer {
    Here(Crun),
    Absent(String),
}

pub struct Crun {
    bundle: PathBuf,
    shell: Child,
    said: BufReader<ChildStdout>,
    times: Vec<Duration>,
}

impl Peer {
    /// Makes a bundle of a tree that has busybox in it, and tries it.
    pub fn new(bundle: &Path, root: &Path) -> Result<Self> {
        if !shell::has("crun") {
            return Ok(Self::Absent("no crun here".to_owned()));
        }
        make(bundle, root)?;
        // Only root may have mounts of his own.
        let (program, first) = match shell::is_root() {
            true => ("unshare", &["--mount", "sh"][..]),
            false => ("sh", &[][..]),
        };
        let mut command = Command::new(program);
        command.args(first).args(["-c", LOOP]).arg(bundle);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = BufReader::new(shell.stdout.take().context("the shell's output is piped")?);
        let mut crun = Crun { bundle: bundle.to_owned(), shell, said, times: Vec::new() };
        Ok(match crun.run() {
            Ok(()) => {
                crun.times.clear();
                Self::Here(crun)
            }
            Err(error) => Self::Absent(format!("crun cannot run here: {error}")),
        })
    }

    /// One container from start to end, where there is crun.
    pub fn run(&mut self) -> Result<()> {
        match self {
            Self::Here(crun) => crun.run(),
            Self::Absent(_) => Ok(()),
        }
    }

    /// For the table.
    pub fn describe(mut self) -> String {
        match &mut self {
            Self::Absent(why) => why.clone(),
            Self::Here(Crun { times, .. }) => {
                let (p50, p99) = (quantile_ms(times, 0.5), quantile_ms(times, 0.99));
                format!("crun run /bin/true: {p50:.1} ms / {p99:.1} ms")
            }
        }
    }
}

impl Crun {
    /// It may use both cores, so it is not the slower for that.
    fn run(&mut self) -> Result<()> {
        let name = format!("dispatch-bench-{}", std::process::id());
        let stdin = self.shell.stdin.as_mut().context("the shell's input is piped")?;
        let mut line = String::new();
        let began = Instant::now();
        writeln!(stdin, "{name}")?;
        self.said.read_line(&mut line)?;
        let took = began.elapsed();
        if line.trim() != "0" {
            let errors = std::fs::read_to_string(self.bundle.join("errors")).unwrap_or_default();
            bail!("{}", errors.lines().next().unwrap_or("no reason given"));
        }
        self.times.push(took);
        Ok(())
    }
}

impl Drop for Crun {
    fn drop(&mut self) {
        // It ends when there is nothing to read any more.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn make(bundle: &Path, root: &Path) -> Result<()> {
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

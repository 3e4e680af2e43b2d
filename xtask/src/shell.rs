//! Commands run for the reader: shown, timed, and never silent for long.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Root of the checkout.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies one level below the root").to_owned()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A built binary of the dev profile.
pub fn binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Whether a program is in PATH.
pub fn has(program: &str) -> bool {
    find(program).is_some()
}

/// Where in PATH a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// A line about a step.
pub fn say(text: &str) {
    println!("\x1b[1m==>\x1b[0m {text}");
}

/// Runs a command with its output shown; fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line_of(command);
    let status = command.status().with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line} failed: {status}");
    }
    Ok(())
}

/// Runs a command whose output is shown only when it fails; a line tells when it takes long.
pub fn run_quietly(what: &str, command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let progress = Progress::start(what);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {line}"))?;
    drop(progress);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{line} failed: {}\n{text}{errors}", output.status);
    }
    Ok(text)
}

/// Runs a command as a reader would type it: prints it, then its answer, and returns the answer.
pub fn show(command: &mut Command) -> Result<String> {
    println!("\n$ {}", line_of(command));
    let progress = Progress::start("waiting for the answer");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    drop(progress);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    if !text.is_empty() && !text.ends_with('\n') {
        println!();
    }
    if !output.status.success() {
        bail!("{} failed: {}", line_of(command), output.status);
    }
    Ok(text)
}

/// The command as one would type it, programs by their file name.
pub fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Prints how long something has been going on, from two seconds on, until dropped.
pub struct Progress {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    pub fn start(what: &str) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (seen, what) = (Arc::clone(&done), what.to_owned());
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut next = Duration::from_secs(2);
            while !seen.load(Ordering::Acquire) {
                std::thread::park_timeout(Duration::from_millis(200));
                if began.elapsed() >= next && !seen.load(Ordering::Acquire) {
                    eprintln!("    … {what} ({} s)", began.elapsed().as_secs());
                    next += Duration::from_secs(5);
                }
            }
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only prints; if it panicked there is nothing to clean up.
            let _ = thread.join();
        }
    }
}

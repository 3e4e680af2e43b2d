//! Tells the binaries what they were built from: commit, date and compiler. The server uses it too.
//!
//! A commit must not make cargo compile more than `main.rs` again. So the commit is not put into
//! the environment, which would make the whole package stale, but is the last line of a file that
//! `main.rs` alone includes: git's log of HEAD, or what stands in for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = package.join("../..");
    let log = log_of_head(&root).unwrap_or_else(|| stand_in(&root));
    println!("cargo::rustc-env=DISPATCH_COMMIT_LOG={}", log.display());
    println!("cargo::rustc-env=DISPATCH_BUILD_DATE={}", date());
    println!("cargo::rustc-env=DISPATCH_COMPILER={}", compiler());
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-env-changed=DISPATCH_COMMIT");
    // With a new date comes nothing that is not compiled anyhow.
    watch(&package.join("build.rs"));
    watch_sources(&package);
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn watch(path: &Path) {
    // What is not there would be looked for, and found changed, at every build.
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// The sources of this package, and of those of ours it is built from.
fn watch_sources(package: &Path) {
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap_or_default();
    let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    let ours = normal.lines().filter_map(|line| line.strip_prefix("dispatch-"));
    let names = ours.filter_map(|rest| rest.split_once(" = ")).map(|(name, _)| name);
    watch(&package.join("src"));
    names.for_each(|name| watch(&package.join("..").join(name).join("src")));
}

/// `logs/HEAD` of the repository, also of a worktree. It outlives what git packs and cleans up.
fn log_of_head(root: &Path) -> Option<PathBuf> {
    if !variable("DISPATCH_COMMIT").is_empty() {
        return None;
    }
    let git = root.join(".git");
    let git = match fs::read_to_string(&git) {
        Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => git,
    };
    watch(&git.join("HEAD"));
    git.join("logs/HEAD").canonicalize().ok()
}

/// Without a repository: a line like git's, with the commit that the environment or the archive
/// (`git archive` writes it into the file COMMIT) tells.
fn stand_in(root: &Path) -> PathBuf {
    let archived = root.join("COMMIT");
    watch(&archived);
    let told = match variable("DISPATCH_COMMIT") {
        told if told.is_empty() => fs::read_to_string(archived).unwrap_or_default(),
        told => told,
    };
    let file = PathBuf::from(variable("OUT_DIR")).join("commit");
    let line = format!("- {}\n", told.trim());
    fs::write(&file, line).expect("cargo gives a folder to write into");
    file
}

fn compiler() -> String {
    let output = Command::new(variable("RUSTC")).arg("--version").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// Now, or `SOURCE_DATE_EPOCH` for builds that are to repeat, as RFC 3339.
fn date() -> String {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let seconds = variable("SOURCE_DATE_EPOCH").parse().unwrap_or_else(|_| now());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// The date of a day since 1970, by counting from a first of March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

//! What machine it is, and what a process uses on it.

use anyhow::{Context, Result};

/// Processor, cores, memory and kernel in one line.
pub fn describe() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
        value.unwrap_or("unknown").to_owned()
    };
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel: String = kernel.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let gib = kib.div_ceil(1 << 20);
    format!("{cores} cores ({}), {gib} GiB, Linux {kernel}", field(&cpuinfo, "model name"))
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    kib(&status, &["VmRSS:"]).context("no VmRSS")
}

/// Memory of a process that it shares with no other, in MiB.
pub fn private_mib(pid: u32) -> Result<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    kib(&rollup, &["Private_Clean:", "Private_Dirty:"]).context("no private memory")
}

/// All processes below this one, with their names.
pub fn descendants(pid: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten();
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            for child in children.unwrap_or_default().split_whitespace() {
                let Ok(child) = child.parse() else { continue };
                let name = std::fs::read_to_string(format!("/proc/{child}/comm"));
                found.push((child, name.unwrap_or_default().trim().to_owned()));
                open.push(child);
            }
        }
    }
    found
}

fn kib(text: &str, names: &[&str]) -> Option<f64> {
    let mut total = None;
    for line in text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))) {
        let number: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        total = Some(total.unwrap_or(0.0) + number);
    }
    total.map(|kib| kib / 1024.0)
}

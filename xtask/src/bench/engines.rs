//! What drivers of engines add to a call.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Row;
use super::measures::Bench;
use crate::shell;

/// Measured over a bare connection to the same container, in turns.
pub fn overhead(bench: &Bench) -> Result<Vec<Row>> {
    if !shell::has("dockerd") {
        println!("could not run: dockerd is not here; `cargo xtask test` installs it");
        return Ok(Vec::new());
    }
    let calls = (bench.samples * 25).to_string();
    let mut command = Command::new(bench.example("overhead"));
    let output = command.args(["docker", "--calls", &calls]).output().context("overhead")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let seen: Value = serde_json::from_str(line).with_context(|| {
        format!("overhead said {text} {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let ms = |key: &str| seen[key].as_f64().unwrap_or(f64::NAN) / 1_000.0;
    let (direct, driver) = (ms("directP50us"), ms("driverP50us"));
    let (direct_p99, driver_p99) = (ms("directP99us"), ms("driverP99us"));
    let overhead = driver - direct;
    Ok(vec![Row {
        measure: "overhead of the docker driver over a call to its container directly, p50",
        bar: "≤ 0.3 ms",
        seen: format!(
            "{overhead:.3} ms (p50 {driver:.3} − {direct:.3}, p99 {driver_p99:.2} and \
             {direct_p99:.2})"
        ),
        reached: overhead <= 0.3,
    }])
}

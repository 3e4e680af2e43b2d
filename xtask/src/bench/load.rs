//! Load from the second core by wrk.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Requests per second of `connections` keep-alive clients for some seconds. Any answer that is
/// not a success makes the measurement void.
pub fn requests_per_second(
    url: &str,
    connections: u32,
    seconds: u32,
    body: Option<&str>,
) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("load.lua");
    let body = body.map_or(String::new(), |body| {
        format!(
            "wrk.method = 'POST'\nwrk.body = [==[{body}]==]\n\
             wrk.headers['content-type'] = 'application/json'\n"
        )
    });
    std::fs::write(&script, body)?;
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", "1", "wrk", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s")]);
    wrk.arg("-s").arg(&script).arg(url);
    let output = wrk.output().context("cannot start wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
    if let Some(failed) = field("Non-2xx or 3xx responses:") {
        bail!("{} answers of {url} were not successes", failed.trim());
    }
    let rate = field("Requests/sec:").with_context(|| format!("wrk said: {text}"))?;
    Ok(rate.trim().parse()?)
}

/// Medians of alternating rounds of two loads, so that noise hits both.
pub fn alternate(
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut theirs: impl FnMut() -> Result<f64>,
) -> Result<(f64, f64)> {
    let mut rates = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        rates.0.push(ours()?);
        rates.1.push(theirs()?);
    }
    Ok((median(&mut rates.0), median(&mut rates.1)))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

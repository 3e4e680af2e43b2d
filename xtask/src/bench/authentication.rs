//! What signing in costs a call of the API.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Row;
use super::http::{Http, quantile_ms};
use super::measures::Bench;
use crate::shell;

/// The bar, in milliseconds.
const BAR_MS: f64 = 0.15;
const PATH: &str = "/v1/application/none";

/// The same call by the user of the machine, and by a service account with an RSA key of 3072 bits,
/// in turn.
pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let open = bench.server("authentication-open")?;
    let closed = bench.server("authentication-closed")?;
    let mut manage = closed.dispatch(&["manage", "bootstrap"]);
    shell::run_quietly("bootstrapping", &mut manage)?;
    let token = closed.dispatch(&["auth", "token"]).output().context("dispatch auth token")?;
    let token = String::from_utf8(token.stdout)?;
    let mut without = Http::connect(&open.api)?;
    let mut with = Http::connect(&closed.api)?.bearer(token.trim());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.samples * 20 {
        ours.push(call(&mut with)?);
        theirs.push(call(&mut without)?);
    }
    let (ours, theirs) = (quantile_ms(&mut ours, 0.5), quantile_ms(&mut theirs, 0.5));
    let more = ours - theirs;
    Ok(vec![Row {
        measure: "authenticated call of the API over one without credentials, p50",
        bar: "≤ 0.15 ms more",
        seen: format!("{more:.3} ms more ({ours:.3} ms against {theirs:.3} ms)"),
        reached: more <= BAR_MS,
    }])
}

/// A thing that is not there: the shortest way through all of it.
fn call(http: &mut Http) -> Result<Duration> {
    let answer = http.call("GET", PATH, "")?;
    anyhow::ensure!(answer.status == 404, "status {}: {}", answer.status, answer.body);
    Ok(answer.took)
}

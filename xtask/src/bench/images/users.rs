//! Which functions use a package: asked of a store with ten thousand functions on a hundred images.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::Row;
use crate::bench::http::{Http, quantile_ms};
use crate::bench::measures::Bench;
use crate::shell;

const FUNCTIONS: usize = 10_000;
/// As the example `fill_content` stores them.
const IMAGES: usize = 100;
const COMMON: usize = 250;
const OWN: usize = 50;
const BAR_MS: f64 = 50.0;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.folder("images-users")?;
    // A first start makes the database.
    drop(bench.server("images-users")?);
    let mut fill = Command::new(bench.example("fill_content"));
    fill.arg(&folder).arg(FUNCTIONS.to_string());
    shell::run_quietly("filling the store", &mut fill)?;
    let server = bench.server("images-users")?;
    let mut api = Http::connect(&server.api)?;
    let count = bench.samples.max(100);
    Ok(vec![
        asked(
            &mut api,
            "which of 10,000 functions use a package of one in 100 images, p50 / p99",
            FUNCTIONS / IMAGES,
            (0..count).map(|i| format!("own-{:03}-{:03}", i * 37 % IMAGES, i % OWN)),
        )?,
        asked(
            &mut api,
            "the same for a package of every image: all 10,000 are told, p50 / p99",
            FUNCTIONS,
            (0..count).map(|i| format!("common-{:03}", i * 37 % COMMON)),
        )?,
    ])
}

/// Asks for each of the packages, every one of which `users` functions have.
fn asked(
    api: &mut Http,
    measure: &'static str,
    users: usize,
    packages: impl Iterator<Item = String>,
) -> Result<Row> {
    let mut times = Vec::new();
    for package in packages {
        let answer = api.call("GET", &format!("/v1/package/users?name={package}"), "")?.ok()?;
        times.push(answer.took);
        let found: Vec<serde_json::Value> = serde_json::from_str(&answer.body)?;
        ensure!(found.len() == users, "{package} has {} users, not {users}", found.len());
    }
    let (p50, p99) = (quantile_ms(&mut times, 0.5), quantile_ms(&mut times, 0.99));
    Ok(Row {
        measure,
        bar: "≤ 50 ms",
        seen: format!("{p50:.1} ms / {p99:.1} ms of {}", times.len()),
        reached: p50 <= BAR_MS && p99 <= BAR_MS,
    })
}

//! Measures of size: what a hundred thousand functions or routes cost.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::http::{Http, quantile_ms};
use super::measures::Bench;
use super::{Row, machine};
use crate::shell;

/// Stores functions without deploying them: made, READY, never called.
fn fill(bench: &Bench, folder: &Path, functions: u32) -> Result<()> {
    let mut fill = Command::new(bench.example("fill_store"));
    fill.arg(folder).arg(functions.to_string());
    shell::run_quietly("filling the store", &mut fill)?;
    Ok(())
}

pub fn list(bench: &Bench) -> Result<Vec<Row>> {
    const FUNCTIONS: u32 = 100_000;
    let folder = bench.folder("list")?;
    // A first start makes the database.
    drop(bench.server("list")?);
    fill(bench, &folder, FUNCTIONS)?;
    let server = bench.server("list")?;
    let mut api = Http::connect(&server.api)?;
    let (mut pages, mut gets) = (Vec::new(), Vec::new());
    let mut token = String::new();
    for i in 0..bench.samples as u32 {
        let path = format!("/v1/function?limit=100{token}");
        let answer = api.call("GET", &path, "")?.ok()?;
        pages.push(answer.took);
        let next = answer.headers.iter().find(|(name, _)| name == "x-dispatch-continue");
        let (_, next) = next.context("a page of 100,000 functions has no next page")?;
        token = format!("&continue={next}");
        let name = (i * 7_919) % FUNCTIONS;
        gets.push(api.call("GET", &format!("/v1/function/fill-{name:06}"), "")?.ok()?.took);
    }
    let (page, get) = (quantile_ms(&mut pages, 0.99), quantile_ms(&mut gets, 0.99));
    Ok(vec![Row {
        measure: "list page of 100 / get with 100,000 functions stored, p99",
        bar: "≤ 10 ms",
        seen: format!("{page:.1} ms / {get:.1} ms"),
        reached: page <= 10.0 && get <= 10.0,
    }])
}

pub fn idle(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.folder("idle")?;
    drop(bench.server("idle")?);
    fill(bench, &folder, 1_000)?;
    let server = bench.server("idle")?;
    Http::connect(&server.api)?.call("GET", "/v1/function", "")?.ok()?;
    let mib = machine::resident_mib(server.pid())?;
    Ok(vec![Row {
        measure: "server idle with 1,000 functions, resident memory",
        bar: "≤ 120 MiB",
        seen: format!("{mib:.0} MiB"),
        reached: mib <= 120.0,
    }])
}

/// The route table alone: the example prints nanoseconds a lookup for each kind and size.
pub fn routes(bench: &Bench) -> Result<Vec<Row>> {
    let mut example = Command::new("taskset");
    example.args(["-c", "0"]).arg(bench.example("router_bench"));
    let text = shell::run_quietly("looking routes up", &mut example)?;
    let time = |size: &str, column: usize| -> Result<f64> {
        let line = text.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("exact") && words.next() == Some(size)
        });
        let word = line.and_then(|line| line.split_whitespace().nth(column));
        word.and_then(|word| word.parse().ok()).with_context(|| format!("no {size} in {text}"))
    };
    // The columns: one route again and again, ten in turn, all in random order.
    let row = |measure, column: usize| -> Result<Row> {
        let (few, many) = (time("10", column)?, time("100000", column)?);
        let ratio = many / few;
        let seen = format!("{ratio:.2} ({many:.0} ns ÷ {few:.0} ns)");
        Ok(Row { measure, bar: "≤ 1.2", seen, reached: ratio <= 1.2 })
    };
    Ok(vec![
        row("lookup among 100,000 routes ÷ among 10, ten routes in turn", 3)?,
        row("the same, all routes in random order (the caches' share)", 4)?,
    ])
}

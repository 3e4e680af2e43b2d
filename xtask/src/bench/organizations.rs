//! Whether a call costs more where there are many organizations.

use std::process::Command;

use anyhow::Result;

use super::measures::Bench;
use super::{Row, load};
use crate::server::Server;
use crate::shell;

const MANY: u32 = 10_000;
const CLIENTS: u32 = 64;
/// How far the rates may lie apart.
const APART: f64 = 0.05;

/// The same function beside one organization and beside ten thousand, called in turn.
pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let few = server(bench, "organizations-1", 0)?;
    let many = server(bench, "organizations-many", MANY)?;
    let gateway = |server: &Server| {
        let url = format!("http://{}/dispatch/wasm/hello", server.gateway_http);
        load::requests_per_second(&url, CLIENTS, bench.seconds, Some(r#"{"name": "Ada"}"#))
    };
    let api = |server: &Server| {
        let url = format!("http://{}/v1/runs?functionName=wasm-hello", server.api);
        let body = r#"{"blocking": true, "input": {"name": "Ada"}}"#;
        load::requests_per_second(&url, CLIENTS, bench.seconds, Some(body))
    };
    let through = load::alternate(bench.rounds, || gateway(&many), || gateway(&few))?;
    let direct = load::alternate(bench.rounds, || api(&many), || api(&few))?;
    Ok(vec![
        row("wasm call of the gateway beside 10,000 organizations ÷ beside 1", through),
        row("wasm call of the API beside 10,000 organizations ÷ beside 1", direct),
    ])
}

/// A server with the examples of wasm and so many organizations more.
fn server(bench: &Bench, name: &str, organizations: u32) -> Result<Server> {
    if organizations > 0 {
        // A first start makes the database.
        drop(bench.server(name)?);
        let mut fill = Command::new(bench.example("fill_organizations"));
        fill.arg(bench.folder(name)?).arg(organizations.to_string());
        shell::run_quietly("filling the store", &mut fill)?;
    }
    let server = bench.server(name)?;
    let (folder, file) = ("examples/wasm", "examples/wasm/dispatch.yaml");
    let mut apply = server.dispatch(&["apply", "-f", file, "-w", folder, "--wait"]);
    shell::run_quietly("deploying", &mut apply)?;
    Ok(server)
}

fn row(measure: &'static str, (many, few): (f64, f64)) -> Row {
    let ratio = many / few;
    Row {
        measure,
        bar: "0.95 to 1.05",
        seen: format!("{ratio:.3} ({many:.0}/s ÷ {few:.0}/s)"),
        reached: (ratio - 1.0).abs() <= APART,
    }
}

//! `cargo xtask bench`: Dispatch beside baselines in the same run.
//!
//! The machine is noisy, so what counts are ratios between alternating rounds. The server and
//! what it starts run on the first core, the load on the second.

mod access;
mod authentication;
mod baseline;
mod engines;
mod fleet;
mod http;
mod images;
mod load;
mod machine;
mod measures;
mod organizations;
mod placement;
mod report;
mod scale;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell;

/// A measurement: what, the bar it must reach, what was seen.
#[derive(Debug)]
pub struct Row {
    pub measure: &'static str,
    pub bar: &'static str,
    pub seen: String,
    pub reached: bool,
}

#[derive(Args)]
pub struct Arguments {
    /// Only measures whose name holds one of these.
    filters: Vec<String>,
    /// Shorter rounds: to see that it works, not to judge by.
    #[arg(long)]
    quick: bool,
    /// Add the table to docs/benchmarks.md.
    #[arg(long)]
    write: bool,
    /// Measures what was built here before, and builds nothing: to try a measure on debug binaries.
    #[arg(long, hide = true, conflicts_with = "write", value_name = "DIR")]
    built: Option<PathBuf>,
}

type Measure = fn(&measures::Bench) -> Result<Vec<Row>>;

const MEASURES: &[(&str, Measure)] = &[
    ("wasm", measures::wasm),
    ("python", measures::python),
    ("cold", measures::cold),
    ("memory", measures::memory),
    ("create", measures::create),
    ("accept", measures::accept),
    ("list", scale::list),
    ("idle", scale::idle),
    ("routes", scale::routes),
    ("organizations", organizations::measure),
    ("placement", placement::measure),
    ("access", access::measure),
    ("authentication", authentication::measure),
    ("engines", engines::overhead),
    ("images-rebuild", images::rebuild),
    ("images-update", images::update),
    ("images-call", images::call),
    ("images-bill", images::bill::measure),
    ("images-users", images::users::measure),
    ("fleet-failover", fleet::failover),
    ("fleet-burst", fleet::burst),
];
/// Those of them whose load comes from wrk.
const WITH_WRK: &[&str] = &["wasm", "python", "accept", "organizations"];
const EXAMPLES: &[&str] = &[
    "bare_hyper",
    "fill_store",
    "router_bench",
    "python_layout",
    "fill_content",
    "fill_organizations",
    "placement_bench",
    "access_bench",
    "overhead",
];

pub fn run(arguments: &Arguments) -> Result<()> {
    let filters = &arguments.filters;
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    if WITH_WRK.iter().any(|name| wanted(name)) && !shell::has("wrk") {
        bail!("wrk is missing: apt-get install -y wrk");
    }
    let built = match &arguments.built {
        Some(folder) => folder.canonicalize().context("--built")?,
        None => build()?,
    };
    let bench = measures::Bench::new(arguments.quick, built)?;
    let mut rows = Vec::new();
    for (name, measure) in MEASURES.iter().filter(|(name, _)| wanted(name)) {
        shell::say(&format!("measuring: {name}"));
        for row in measure(&bench)? {
            println!("    {}: {} (bar {})", row.measure, row.seen, row.bar);
            rows.push(row);
        }
    }
    let table = report::table(&rows);
    println!("\n{table}");
    if arguments.write {
        report::append(&table)?;
    }
    Ok(())
}

/// Builds all that is measured or helps with it, and says where it is.
fn build() -> Result<PathBuf> {
    shell::say("building for release (long the first time)");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(shell::root());
    cargo.args(["build", "--release", "--workspace", "--bins"]);
    cargo.args(EXAMPLES.iter().flat_map(|name| ["--example", name]));
    shell::run(&mut cargo)?;
    Ok(shell::target().join("release"))
}

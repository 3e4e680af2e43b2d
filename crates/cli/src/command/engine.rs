//! `dispatch engine`: engines of your own making, held to their contract.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use dispatch_adapters::engine::remote::bed::RemoteBed;
use dispatch_driver::conformance::{self, CASES, Report};
use serde_json::Value;

use crate::hint::wrong;
use crate::printer::{self, Printer};
use crate::progress::Progress;
use crate::table;

#[derive(Debug, Args)]
pub struct Engine {
    #[command(subcommand)]
    command: EngineCommand,
}

#[derive(Debug, Subcommand)]
enum EngineCommand {
    Conformance(Conformance),
}

const CONFORMANCE_EXAMPLES: &str = "\
Examples:
  dispatch engine conformance http://127.0.0.1:9090
  dispatch engine conformance https://engine.example.org --token-file token --ca-file ca.pem
  dispatch engine conformance http://127.0.0.1:9090 --case timeout --case cancel
  dispatch engine conformance http://127.0.0.1:9090 -o json > report.json";

/// Hold an engine of your own to the engine contract
///
/// The engine is a server that speaks api/engine.openapi.json; examples/engines has one to begin
/// with. Functions of the suite are deployed to it, called in every way a server calls them, and
/// removed again. It takes about half a minute. Exits with 1 when a case fails.
#[derive(Debug, Args)]
#[command(after_help = CONFORMANCE_EXAMPLES)]
pub struct Conformance {
    /// Where the engine listens
    url: String,
    /// File with the token that is sent to it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) trusted besides the machine's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Run only this case; may be given several times
    #[arg(long = "case", value_name = "NAME", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(CASES.iter().map(|case| case.name)))]
    cases: Vec<String>,
}

impl Engine {
    pub async fn run(self, printer: Printer) -> Result<()> {
        match self.command {
            EngineCommand::Conformance(conformance) => conformance.run(printer).await,
        }
    }
}

impl Conformance {
    async fn run(self, printer: Printer) -> Result<()> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path);
            text.map(|text| text.trim().to_owned()).with_context(|| path.display().to_string())
        };
        let token = self.token_file.as_ref().map(read).transpose()?;
        let ca_file = self.ca_file.as_ref().map(|path| path.display().to_string());
        let bed = RemoteBed::new(&self.url, token.as_deref(), ca_file.as_deref()).await;
        let bed = bed.map_err(|why| {
            wrong(format!("there is nothing to try: {why}"), "examples/engines has an engine")
        })?;
        let wanted = |name: &str| self.cases.is_empty() || self.cases.iter().any(|c| c == name);
        let count = CASES.iter().filter(|case| wanted(case.name)).count();
        let (mut progress, mut done) = (Progress::begin(), 0);
        let report = conformance::run_some(&bed, wanted, |_| {
            done += 1;
            progress.tell(|| format!("{done} of {count} cases have ended"));
        });
        let report = report.await;
        match printer.is_structured() {
            true => printer.value(&value(&report)?)?,
            false => show(&report),
        }
        judge(&report)
    }
}

fn value(report: &Report) -> Result<Value> {
    let mut value = serde_json::to_value(report)?;
    value["passed"] = report.passed().into();
    Ok(value)
}

fn show(report: &Report) {
    printer::line(&table::rows(
        ["CASE", "RESULT", "TIME", "WHAT"],
        report.cases.iter().map(|case| {
            let what = match case.verdict.words() {
                None => case.about.to_owned(),
                Some(words) => format!("{}\n{words}", case.about),
            };
            let took = format!("{:.2}s", case.took.as_secs_f64());
            [case.name.to_owned(), case.verdict.name().to_owned(), took, what]
        }),
    ));
    let [passed, failed, not_run] = ["passed", "failed", "not run"].map(|v| report.count(v));
    printer::line(&format!("\n{passed} passed, {failed} failed, {not_run} not run"));
}

fn judge(report: &Report) -> Result<()> {
    let failed = report.failed();
    if !failed.is_empty() {
        return Err(anyhow!("the engine does not keep its contract: {}", failed.join(", ")));
    }
    match report.passed() {
        true => Ok(()),
        false => Err(anyhow!("no case could be run")),
    }
}

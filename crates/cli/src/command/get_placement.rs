//! `dispatch get placement`: where calls of a function go, and why.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::Context;
use crate::noun::Noun;
use crate::{complete, printer, table};

const EXAMPLES: &str = "\
Examples:
  dispatch get placement hello
  dispatch get placement hello --explain
  dispatch get placement hello -o yaml";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetPlacement {
    /// Name of the function
    #[arg(add = complete::names(Noun::Function))]
    function: String,
    /// Show every engine, and why the next call would not go there
    #[arg(long)]
    explain: bool,
}

impl GetPlacement {
    pub async fn run(self, context: &Context) -> Result<()> {
        let path = format!("{}/{}/placement", Noun::Function.path(), self.function);
        let report = context.session.client.get(&path).await?;
        if context.printer.is_structured() {
            return context.printer.value(&report);
        }
        for version in report["versions"].as_array().into_iter().flatten() {
            let engines = version["engines"].as_array().cloned().unwrap_or_default();
            printer::line(&headline(version, &engines));
            let fits = |engine: &&Value| self.explain || engine["role"] != "unfit";
            let rows = engines.iter().filter(fits).map(row);
            let titles = ["ENGINE", "ROLE", "TIER", "COST", "CALLS", "LATENCY", "NEXT CALL"];
            printer::line(&table::rows(titles, rows));
        }
        if !self.explain {
            printer::line("Engines that cannot take its calls: dispatch get placement --explain");
        }
        Ok(())
    }
}

fn headline(version: &Value, engines: &[Value]) -> String {
    let next: Vec<&str> =
        engines.iter().filter(|e| e["next"] == true).filter_map(|e| e["engine"].as_str()).collect();
    let (number, percent) = (&version["version"], &version["percent"]);
    let next = match next.as_slice() {
        [] => "no engine takes the next call".to_owned(),
        [one] => format!("the next call goes to {one}"),
        several => format!("the next call goes to one of {}", several.join(", ")),
    };
    format!("Version {number} ({percent} % of the calls): {next}")
}

fn row(engine: &Value) -> [String; 7] {
    let text = |field: &str| engine[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| engine[field].as_u64().unwrap_or_default();
    let most = match number("maxConcurrency") {
        0 => String::new(),
        most => format!(" of {most}"),
    };
    let latency = engine["latencyUs"].as_f64().map(|us| format!("{:.1} ms", us / 1_000.0));
    let share =
        engine["share"].as_f64().map(|share| format!(", {:.0} % of the calls", share * 100.0));
    let next = match engine["next"] == true {
        true => format!("goes here{}", share.unwrap_or_default()),
        false => text("passedOver"),
    };
    [
        text("engine"),
        text("role"),
        engine["tier"].as_u64().map(|tier| tier.to_string()).unwrap_or_default(),
        number("cost").to_string(),
        format!("{}{most}", number("inFlight")),
        latency.unwrap_or_default(),
        next,
    ]
}

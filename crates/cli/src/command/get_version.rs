//! `dispatch get versions`: what a function was at each of its updates.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::Context;
use crate::noun::Noun;
use crate::{complete, printer, table, time};

const EXAMPLES: &str = "\
Examples:
  dispatch get versions hello
  dispatch get version hello 7 -o yaml";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetVersion {
    /// Name of the function
    #[arg(add = complete::names(Noun::Function))]
    function: String,
    /// Only this version
    version: Option<u64>,
}

impl GetVersion {
    pub async fn run(self, context: &Context) -> Result<()> {
        let path = format!("{}/{}/version", Noun::Function.path(), self.function);
        let path = match self.version {
            Some(version) => format!("{path}/{version}"),
            None => path,
        };
        let found = context.session.client.get(&path).await?;
        if context.printer.is_structured() {
            return context.printer.value(&found);
        }
        let all = match found {
            Value::Array(all) => all,
            one => vec![one],
        };
        let titles = ["VERSION", "CALLS", "ALIASES", "ENGINES", "IMAGE", "CREATED"];
        printer::line(&table::rows(titles, all.iter().map(row)));
        Ok(())
    }
}

fn row(version: &Value) -> [String; 6] {
    let words = |list: &Value| {
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    let percent = version["percent"].as_u64().unwrap_or_default();
    [
        version["version"].to_string(),
        if percent > 0 { format!("{percent} %") } else { String::new() },
        words(&version["aliases"]),
        words(&version["engines"]),
        version["function"]["image"].as_str().unwrap_or_default().to_owned(),
        time::local(&version["createdTime"]),
    ]
}

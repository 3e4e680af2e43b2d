//! `dispatch get usage`: what organizations used, by the hour or the day.

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;

use super::Context;
use crate::noun::Noun;
use crate::printer::{self, Format};
use crate::{complete, table, value};

const EXAMPLES: &str = "\
Examples:
  dispatch get usage
  dispatch get usage --since 24h --by hour --function hello
  dispatch get usage --each-function --since 30d -o csv
  dispatch get usage --all-organizations --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetUsage {
    /// From then on: 24h, 7d, or a time
    #[arg(long, default_value = "7d", value_parser = value::since, allow_hyphen_values = true)]
    since: i64,
    /// Before then; now when left out
    #[arg(long, value_parser = value::since, allow_hyphen_values = true)]
    until: Option<i64>,
    /// Hours or whole days (UTC)
    #[arg(long, default_value = "day")]
    by: By,
    /// Only this function
    #[arg(long, add = complete::names(Noun::Function))]
    function: Option<String>,
    /// Each function by itself
    #[arg(long, conflicts_with = "function")]
    each_function: bool,
    /// Of all organizations, for those who may see all
    #[arg(long)]
    all_organizations: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    Hour,
    Day,
}

impl GetUsage {
    pub async fn run(self, context: &Context) -> Result<()> {
        let by = match self.by {
            By::Hour => "hour",
            By::Day => "day",
        };
        let mut query = vec![("since", self.since.to_string()), ("by", by.to_owned())];
        query.extend(self.until.map(|until| ("until", until.to_string())));
        query.extend(self.function.map(|function| ("function", function)));
        if self.each_function {
            query.push(("function", "*".to_owned()));
        }
        if self.all_organizations {
            query.push(("allOrganizations", "true".to_owned()));
        }
        let query: Vec<_> = query.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let client = &context.session.client;
        if context.printer.format == Format::Csv {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&query)
                .append_pair("format", "csv")
                .finish();
            printer::line(client.text(&format!("usage?{form}")).await?.trim_end());
            return Ok(());
        }
        let found = client.send(reqwest::Method::GET, "usage", &query, None).await?.body;
        if context.printer.is_structured() {
            return context.printer.value(&found);
        }
        let rows = found.as_array().into_iter().flatten();
        printer::line(&table::rows(TITLES, rows.map(cells)));
        Ok(())
    }
}

const TITLES: [&str; 11] = [
    "ORGANIZATION",
    "FUNCTION",
    "TIME",
    "RUNS",
    "ERRORS",
    "DURATION",
    "MIB-SECONDS",
    "IN",
    "OUT",
    "STORAGE",
    "AT ONCE",
];

fn cells(row: &Value) -> [String; 11] {
    let number = |field: &str| row[field].as_u64().unwrap_or(0);
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
    let time = row["time"].as_i64().and_then(|time| DateTime::<Utc>::from_timestamp(time, 0));
    [
        text("organization"),
        text("function"),
        time.map(|time| time.format("%Y-%m-%d %H:%MZ").to_string()).unwrap_or_default(),
        number("runs").to_string(),
        number("errors").to_string(),
        format!("{} s", seconds(number("durationMs"))),
        seconds(number("memoryMibMs")),
        value::bytes(number("bytesIn")),
        value::bytes(number("bytesOut")),
        row["storageBytes"].as_u64().map(value::bytes).unwrap_or_default(),
        number("maxConcurrency").to_string(),
    ]
}

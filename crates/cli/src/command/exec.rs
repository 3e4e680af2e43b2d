//! `dispatch exec`: run a function; always prints the run as JSON, as v1 did.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Context;
use crate::printer::{self, Format};

#[derive(Debug, Args)]
pub struct Exec {
    function: String,
    /// Wait for the end of the run
    #[arg(long)]
    wait: bool,
    /// Input, as JSON
    #[arg(long, default_value = "{}", value_name = "JSON", conflicts_with = "input_file")]
    input: String,
    /// File with the input, as JSON
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// Secret the run gets beside the function's own; may be repeated
    #[arg(long = "secret", value_delimiter = ',')]
    secrets: Vec<String>,
    /// Service instance the run gets; may be repeated
    #[arg(long = "service", value_delimiter = ',')]
    services: Vec<String>,
    /// Print only what the function returned
    #[arg(long, requires = "wait")]
    result: bool,
    /// Print what the run printed, on stderr
    #[arg(long, requires = "wait")]
    logs: bool,
    /// Everything of the run (it is always printed)
    #[arg(long, hide = true)]
    all: bool,
}

impl Exec {
    pub async fn run(self, context: &Context) -> Result<()> {
        let text = match &self.input_file {
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
            None => self.input.clone(),
        };
        let input: Value = serde_json::from_str(&text).context("--input is not JSON")?;
        let body = json!({
            "blocking": self.wait, "input": input, "secrets": self.secrets,
            "services": self.services,
        });
        let query = [("functionName".to_owned(), self.function.clone())];
        let client = &context.session.client;
        let run = client.send(Method::POST, "runs", &query, Some(&body)).await?.body;
        if self.logs {
            for stream in ["stdout", "stderr"] {
                let lines = run["logs"][stream].as_array().into_iter().flatten();
                lines.filter_map(Value::as_str).for_each(printer::progress);
            }
        }
        let shown = if self.result { &run["output"] } else { &run };
        match context.printer.format {
            Format::Yaml => context.printer.value(shown),
            _ => {
                printer::line(&serde_json::to_string_pretty(shown)?);
                Ok(())
            }
        }
    }
}

//! `dispatch exec`: run a function; always prints the run as JSON, as v1 did.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Context;
use crate::complete;
use crate::document::tag;
use crate::hint::wrong;
use crate::noun::Noun;
use crate::printer::{self, Format};
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  dispatch exec hello --wait --input '{\"name\": \"Ada\"}'
  dispatch exec hello --wait --result --input-file input.json
  dispatch exec vault --wait --logs --secret open-sesame
  dispatch exec hello";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Exec {
    /// Function to run
    #[arg(add = complete::names(Noun::Function))]
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
    #[arg(long = "secret", value_delimiter = ',', add = complete::names(Noun::Secret))]
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
    /// Application the run is tagged with
    #[arg(long, short)]
    application: Option<String>,
    /// Everything of the run (it is always printed)
    #[arg(long, hide = true)]
    all: bool,
}

impl Exec {
    pub async fn run(self, context: &Context) -> Result<()> {
        let mut body = json!({
            "blocking": self.wait, "input": self.input()?, "secrets": self.secrets,
            "services": self.services,
        });
        if let Some(application) = &self.application {
            tag(&mut body, application);
        }
        let query = [("functionName".to_owned(), self.function.clone())];
        let run = context.session.client.send(Method::POST, "runs", &query, Some(&body));
        let run = progress::waiting(&format!("{} is running", self.function), run).await?.body;
        if self.logs {
            for stream in ["stdout", "stderr"] {
                let lines = run["logs"][stream].as_array().into_iter().flatten();
                lines.filter_map(Value::as_str).for_each(printer::progress);
            }
        }
        let shown = if self.result { &run["output"] } else { &run };
        match context.printer.format {
            Format::Yaml => context.printer.value(shown),
            _ => printer::json(shown),
        }
    }

    fn input(&self) -> Result<Value> {
        let (text, from) = match &self.input_file {
            Some(file) => (
                std::fs::read_to_string(file)
                    .with_context(|| format!("--input-file: cannot read {}", file.display()))?,
                format!("--input-file {}", file.display()),
            ),
            None => (self.input.clone(), "--input".to_owned()),
        };
        serde_json::from_str(&text).map_err(|error| {
            let shown: String = text.chars().take(40).collect();
            wrong(
                format!("{from} is not JSON: {error}: {shown}"),
                r#"JSON in single quotes, so that the shell leaves it alone: '{"name": "Ada"}'"#,
            )
        })
    }
}

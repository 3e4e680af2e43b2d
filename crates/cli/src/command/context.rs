//! `dispatch context`: which server commands talk to.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::printer::{self, Printer};

#[derive(Debug, Args)]
pub struct Context {
    #[command(subcommand)]
    command: Option<ContextCommand>,
    /// Choose a context
    #[arg(long, hide = true, value_name = "CONTEXT")]
    set: Option<String>,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// Name the current context
    Current,
    /// Choose a context
    Set { context: String },
    /// Forget a context
    Delete { context: String },
}

impl Context {
    pub fn run(self, mut config: Config, printer: Printer) -> Result<()> {
        let command = self.set.map(|context| ContextCommand::Set { context }).or(self.command);
        match command {
            None => return show(&config, printer),
            Some(ContextCommand::Current) => {
                printer::line(config.current().unwrap_or("(none)"));
            }
            Some(ContextCommand::Set { context }) => {
                config.change(|config| config.choose(&context))?;
                printer.say(&format!("Set context to {context}"));
            }
            Some(ContextCommand::Delete { context }) => {
                config.change(|config| config.forget(&context))?;
                printer.say(&format!("Deleted context: {context}"));
            }
        }
        Ok(())
    }
}

/// All contexts, without what signs in.
fn show(config: &Config, printer: Printer) -> Result<()> {
    let contexts: Map<String, Value> = config
        .contexts()
        .map(|(name, context)| {
            let mut context = context.clone();
            for secret in ["cookie", "token"] {
                if context.get(secret).is_some() {
                    context[secret] = json!("<hidden>");
                }
            }
            (name.clone(), context)
        })
        .collect();
    let shown = json!({"current": config.current(), "contexts": contexts});
    if printer.is_structured() {
        return printer.value(&shown);
    }
    printer::json(&shown)
}

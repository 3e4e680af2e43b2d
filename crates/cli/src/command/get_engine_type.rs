//! `dispatch get engine-type`: which engines there can be, and what may be set for each.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::Context;
use crate::printer::{self, Format};
use crate::{complete, table};

#[derive(Debug, Args)]
pub struct GetEngineType {
    /// Show its settings
    #[arg(add = complete::engine_types())]
    name: Option<String>,
}

impl GetEngineType {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let path = match &self.name {
            Some(name) => format!("enginetype/{name}"),
            None => "enginetype".to_owned(),
        };
        let found = client.get(&path).await?;
        if context.printer.is_structured() {
            return context.printer.value(&found);
        }
        let types = match found.as_array() {
            Some(types) => types.clone(),
            None if context.printer.format != Format::Name => return one(&found),
            None => vec![found],
        };
        if context.printer.format == Format::Name {
            types.iter().for_each(|known| printer::line(&text(&known["name"])));
            return Ok(());
        }
        let rows = types.iter().map(|known| [text(&known["name"]), text(&known["about"])]);
        printer::line(&table::rows(["TYPE", "ABOUT"], rows));
        Ok(())
    }
}

fn one(known: &Value) -> Result<()> {
    printer::line(&format!("{}: {}\n", text(&known["name"]), text(&known["about"])));
    let settings = known["settings"].as_array().cloned().unwrap_or_default();
    if settings.is_empty() {
        let hint = match known["embedded"].as_bool() {
            Some(true) => "Its settings are in the server's configuration.",
            _ => "Nothing can be set.",
        };
        printer::line(hint);
        return Ok(());
    }
    let rows = settings.iter().map(|setting| {
        [text(&setting["name"]), kind(setting), given(setting), text(&setting["help"])]
    });
    printer::line(&table::rows(["SETTING", "VALUE", "DEFAULT", "HELP"], rows));
    Ok(())
}

/// How it is written, and what it may be.
fn kind(setting: &Value) -> String {
    let choices = setting["choices"].as_array().into_iter().flatten();
    let choices: Vec<_> = choices.map(text).collect();
    let value = match choices.is_empty() {
        true => text(&setting["value"]),
        false => choices.join(", "),
    };
    match setting["secret"].as_bool() {
        Some(true) => format!("{value}, by a secret only"),
        _ => value,
    }
}

fn given(setting: &Value) -> String {
    match setting["required"].as_bool() {
        Some(true) => "(required)".to_owned(),
        _ => text(&setting["default"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

//! `dispatch version`.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::{printer, table};

#[derive(Debug, Args)]
pub struct Version {
    /// Do not ask the server
    #[arg(long)]
    client: bool,
}

impl Version {
    pub async fn run(self, context: &Context) -> Result<()> {
        let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
        let client = json!({"version": env!("CARGO_PKG_VERSION"), "platform": platform});
        let server =
            if self.client { None } else { Some(context.session.client.get("version").await) };
        if context.printer.is_structured() {
            let server = match &server {
                Some(Ok(version)) => version.clone(),
                _ => Value::Null,
            };
            return context.printer.value(&json!({"client": client, "server": server}));
        }
        let text = |version: &Value| {
            let part = |field: &str| version[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("version"), part("platform"))
        };
        let mut rows = vec![("client".to_owned(), text(&client))];
        if let Some(Ok(version)) = &server {
            rows.push(("server".to_owned(), text(version)));
        }
        printer::line(&table::pairs(["PART", "VERSION"], rows));
        match server {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

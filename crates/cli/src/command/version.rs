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
        let mut client = dispatch_wire::version!();
        dispatch_wire::commit!().clone_into(&mut client.commit);
        let client = json!(client);
        let server =
            if self.client { None } else { Some(context.session.client.get("version").await) };
        if context.printer.is_structured() {
            let server = match &server {
                Some(Ok(version)) => version.clone(),
                _ => Value::Null,
            };
            return context.printer.value(&json!({"client": client, "server": server}));
        }
        let row = |part: &str, version: &Value| {
            let field = |name: &str| version[name].as_str().unwrap_or_default().to_owned();
            let commit = field("commit").chars().take(12).collect();
            let [version, built] = ["version", "buildDate"].map(field);
            let [platform, compiler] = ["platform", "compiler"].map(field);
            [part.to_owned(), version, commit, built, platform, compiler]
        };
        let mut rows = vec![row("client", &client)];
        if let Some(Ok(version)) = &server {
            rows.push(row("server", version));
        }
        let title = ["PART", "VERSION", "COMMIT", "BUILT", "PLATFORM", "COMPILER"];
        printer::line(&table::rows(title, rows));
        match server {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

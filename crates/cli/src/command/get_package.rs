//! `dispatch get packages`: what is installed in images and functions, and in which.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::Context;
use crate::{printer, table, value};

const EXAMPLES: &str = "\
Examples:
  dispatch get packages
  dispatch get packages --ecosystem pypi
  dispatch get package openssl
  dispatch get packages --name openssl --version 3.0.11-1~deb12u2 -o json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetPackage {
    /// Show which functions and images have this package, in which version
    #[arg(value_name = "NAME", conflicts_with = "name")]
    package: Option<String>,
    /// The same
    #[arg(long)]
    name: Option<String>,
    /// Only packages of deb, apk, rpm, pypi, npm, gem, maven, composer, …
    #[arg(long)]
    ecosystem: Option<String>,
    /// Only this version
    #[arg(long)]
    version: Option<String>,
    /// At most so many
    #[arg(long, value_parser = value::limit)]
    limit: Option<usize>,
}

impl GetPackage {
    pub async fn run(self, context: &Context) -> Result<()> {
        let name = self.package.or(self.name);
        let path = if name.is_some() { "package/users" } else { "package" };
        let given = [
            ("name", name),
            ("ecosystem", self.ecosystem),
            ("version", self.version),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        let query: Vec<_> =
            given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let client = &context.session.client;
        let found = client.send(reqwest::Method::GET, path, &query, None).await?.body;
        if context.printer.is_structured() {
            return context.printer.value(&found);
        }
        let items = found.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let shown = match path {
            "package" => table::rows(
                ["PACKAGE", "VERSION", "ECOSYSTEM", "IMAGES", "FUNCTIONS"],
                items.iter().map(|i| {
                    ["name", "version", "ecosystem", "images", "functions"].map(|f| text(&i[f]))
                }),
            ),
            _ => table::rows(
                ["PACKAGE", "VERSION", "ECOSYSTEM", "KIND", "NAME"],
                items.iter().map(|i| {
                    ["package", "version", "ecosystem", "kind", "name"].map(|f| text(&i[f]))
                }),
            ),
        };
        printer::line(&shown);
        Ok(())
    }
}

//! `dispatch get secret`: secrets without their values unless asked, their versions, and who read
//! one.

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Context;
use super::get::{self, List};
use crate::noun::{self, Noun};
use crate::{printer, table, time};

#[derive(Debug, Args)]
pub struct GetSecret {
    #[command(flatten)]
    list: List,
    /// Show the values; those that are kept elsewhere are read
    #[arg(long)]
    all: bool,
    /// Show the versions that are kept
    #[arg(long, requires = "name", conflicts_with_all = ["all", "version", "used", "watch"])]
    versions: bool,
    /// Show this version
    #[arg(long, value_name = "N", requires = "name", conflicts_with_all = ["used", "watch"])]
    version: Option<u64>,
    /// Show the newest runs that read it
    #[arg(long, requires = "name", conflicts_with_all = ["all", "watch"])]
    used: bool,
}

impl GetSecret {
    pub async fn run(self, context: &Context) -> Result<()> {
        match &self.list.name {
            Some(name) if self.versions => versions(context, name).await,
            Some(name) if self.used => used(context, name).await,
            Some(name) if !self.list.watch => self.one(context, name).await,
            _ if self.all => self.every(context).await,
            _ => get::resources(context, Noun::Secret, &self.list, None).await,
        }
    }

    async fn one(&self, context: &Context, name: &str) -> Result<()> {
        let mut secret = read(context, name, self.version, self.all).await?;
        if !self.all
            && !context.printer.is_structured()
            && let Some(secret) = secret.as_object_mut()
        {
            secret.remove("secrets");
        }
        get::print_one(context.printer, Noun::Secret, &secret)
    }

    /// A list never holds values, so each is read by itself.
    async fn every(&self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let query = self.list.query(None);
        let mut items = client.list(Noun::Secret.path(), &query, self.list.limit).await?;
        for item in &mut items {
            let name = item["name"].as_str().unwrap_or_default().to_owned();
            *item = read(context, &name, None, item["source"].is_object()).await?;
        }
        get::print_list(context.printer, Noun::Secret, items)
    }
}

async fn read(
    context: &Context,
    name: &str,
    version: Option<u64>,
    elsewhere: bool,
) -> Result<Value> {
    let client = &context.session.client;
    if version.is_none() && !elsewhere {
        return Ok(noun::read(client, Noun::Secret, name).await?);
    }
    let version = version.map(|version| ("version".to_owned(), version.to_string()));
    let elsewhere = elsewhere.then(|| ("read".to_owned(), "true".to_owned()));
    let query: Vec<_> = version.into_iter().chain(elsewhere).collect();
    let path = format!("{}/{name}", Noun::Secret.path());
    Ok(client.send(Method::GET, &path, &query, None).await?.body)
}

async fn versions(context: &Context, name: &str) -> Result<()> {
    let row = |version: &Value| {
        let current = if version["current"] == true { "yes" } else { "" };
        let by = version["createdBy"].as_str().unwrap_or("-");
        let created = time::local(&version["createdTime"]);
        [version["version"].to_string(), current.to_owned(), by.to_owned(), created]
    };
    rows(context, name, "versions", ["VERSION", "CURRENT", "BY", "CREATED"], row).await
}

async fn used(context: &Context, name: &str) -> Result<()> {
    let row = |reader: &Value| {
        let text = |field: &str| table::text(&reader[field]);
        let time = time::local(&reader["time"]);
        [text("run"), text("function"), text("version"), text("sourceVersion"), time]
    };
    rows(context, name, "uses", ["RUN", "FUNCTION", "VERSION", "SOURCE VERSION", "TIME"], row).await
}

async fn rows<const N: usize>(
    context: &Context,
    name: &str,
    what: &str,
    titles: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) -> Result<()> {
    let path = format!("{}/{name}/{what}", Noun::Secret.path());
    let found = context.session.client.get(&path).await?;
    if context.printer.is_structured() {
        return context.printer.value(&found);
    }
    printer::line(&table::rows(titles, found.as_array().into_iter().flatten().map(row)));
    Ok(())
}

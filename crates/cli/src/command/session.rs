//! `dispatch iam get session` and `dispatch iam delete session`: who is signed in from where.
//!
//! A session is no [`crate::noun::Noun`]: it is begun by `dispatch login`, not written.

use anyhow::Result;
use clap::Args;
use dispatch_wire::client::{Client, Error};
use reqwest::Method;
use serde_json::Value;

use super::{Context, get};
use crate::printer::Printer;
use crate::{complete, table, value};

pub const EXAMPLES: &str = "\
Examples:
  dispatch iam get sessions
  dispatch iam get session current -o yaml
  dispatch iam get sessions --sort -created --limit 10";

pub const PATH: &str = "iam/session";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetSession {
    /// One of them; current is the one this command is signed in with
    #[arg(add = complete::names_by_line())]
    name: Option<String>,
    /// name, created, modified; -name, … for descending
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    /// At most so many
    #[arg(long, value_parser = value::limit)]
    limit: Option<usize>,
    /// Go on and print what changes
    #[arg(long, short)]
    watch: bool,
}

impl GetSession {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        if let Some(name) = &self.name {
            let session = client.get(&format!("{PATH}/{name}")).await?;
            return get::print_one_as(context.printer, &session, table::sign_in::sessions);
        }
        let query: Vec<_> = self.sort.map(|sort| ("sort".to_owned(), sort)).into_iter().collect();
        if self.watch {
            return get::watch(context, PATH, &query).await;
        }
        let sessions = client.list(PATH, &query, self.limit).await?;
        get::print_list_as(context.printer, sessions, table::sign_in::sessions)
    }
}

/// Ends a session, and says where else one may have to sign out.
pub async fn delete(context: &Context, name: &str) -> Result<()> {
    let answer = end(&context.session.client, name).await?;
    context.printer.say(&format!("Deleted session: {name}"));
    tell_where_else(context.printer, &answer);
    Ok(())
}

pub async fn end(client: &Client, name: &str) -> Result<Value, Error> {
    Ok(client.send(Method::DELETE, &format!("{PATH}/{name}"), &[], None).await?.body)
}

/// The provider's own session outlives this one.
pub fn tell_where_else(printer: Printer, answer: &Value) {
    if let Some(url) = answer["logoutUrl"].as_str().filter(|url| is_of_web(url)) {
        printer.say(&format!("To sign out at the provider too, open: {url}"));
    }
}

/// Whether an address is one to send people to: terminals make a link of it, whatever opens it.
pub fn is_of_web(url: &str) -> bool {
    let is_one_word = !url.contains(|c: char| c.is_control() || c.is_whitespace());
    is_one_word && url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

//! `dispatch rollout`, `promote` and `undo`: which versions of a function take its calls.

use anyhow::Result;
use clap::{ArgGroup, Args};
use reqwest::Method;
use serde_json::{Value, json};

use super::Context;
use super::api_object::Waiting;
use crate::complete;
use crate::document::Document;
use crate::noun::Noun;

const ROLLOUT_EXAMPLES: &str = "\
Examples:
  dispatch rollout hello --to 7 --percent 10 --wait
  dispatch rollout hello --to 6
  dispatch rollout hello --to 7 --alias blue
  dispatch rollout hello --remove-alias blue
  dispatch get versions hello";

/// Have a version of a function take its calls, or a share of them
///
/// Every update makes a version, and the newest takes all calls unless a rollout says otherwise.
/// With --percent the version is on trial: `dispatch promote` gives it all calls, `dispatch undo`
/// none. Until then updates wait their turn. An alias is a name for a version, which calls and
/// routes may use: hello:blue.
#[derive(Debug, Args)]
#[command(after_help = ROLLOUT_EXAMPLES)]
#[command(group(ArgGroup::new("what").required(true).args(["to", "remove_alias"])))]
pub struct Rollout {
    /// Name of the function
    #[arg(add = complete::names(Noun::Function))]
    name: String,
    /// Number of the version
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// Only this share of the calls, 1 to 99
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100), conflicts_with = "alias")]
    percent: Option<u8>,
    /// Give the version this name, and leave calls that name none alone
    #[arg(long)]
    alias: Option<String>,
    /// Take a name away
    #[arg(long, value_name = "ALIAS", conflicts_with_all = ["percent", "alias"])]
    remove_alias: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

pub const PROMOTE_EXAMPLES: &str = "\
Examples:
  dispatch promote hello --wait";

pub const UNDO_EXAMPLES: &str = "\
Examples:
  dispatch undo hello --wait";

/// Of which function a trial ends.
#[derive(Debug, Args)]
pub struct End {
    /// Name of the function
    #[arg(add = complete::names(Noun::Function))]
    name: String,
    #[command(flatten)]
    waiting: Waiting,
}

impl Rollout {
    pub async fn run(self, context: &Context) -> Result<()> {
        let named = self.alias.as_ref().or(self.remove_alias.as_ref());
        let body = json!({"version": self.to, "percent": self.percent, "alias": named});
        let function = steer(context, &self.name, "rollout", Some(body), &self.waiting).await?;
        match named {
            None => tell(context, &self.name, &function, &self.waiting),
            Some(alias) => answer(context, &function, || match self.to {
                Some(version) => format!("Version {version} of {0} is {0}:{alias}", self.name),
                None => format!("No version of {0} is {0}:{alias} any more", self.name),
            }),
        }
    }
}

impl End {
    pub async fn promote(self, context: &Context) -> Result<()> {
        self.end(context, "promote").await
    }

    pub async fn undo(self, context: &Context) -> Result<()> {
        self.end(context, "undo").await
    }

    async fn end(self, context: &Context, how: &str) -> Result<()> {
        let function = steer(context, &self.name, how, None, &self.waiting).await?;
        tell(context, &self.name, &function, &self.waiting)
    }
}

async fn steer(
    context: &Context,
    name: &str,
    what: &str,
    body: Option<Value>,
    waiting: &Waiting,
) -> Result<Value> {
    let (client, noun) = (&context.session.client, Noun::Function);
    let path = format!("{}/{name}/{what}", noun.path());
    let mut function = client.send(Method::POST, &path, &[], body.as_ref()).await?.body;
    let document = Document::new(noun, noun.words(), name, function.clone());
    waiting.wait(client, std::slice::from_ref(&document)).await?;
    if waiting.wait.is_some() {
        function = crate::noun::read(client, noun, name).await?;
    }
    Ok(function)
}

fn tell(context: &Context, name: &str, function: &Value, waiting: &Waiting) -> Result<()> {
    answer(context, function, || said(name, function, waiting.wait.is_some()))
}

/// The function, to programs; a sentence, to people.
fn answer(context: &Context, function: &Value, sentence: impl FnOnce() -> String) -> Result<()> {
    if context.printer.is_structured() {
        return context.printer.value(function);
    }
    context.printer.say(&sentence());
    Ok(())
}

/// What takes calls, in a sentence.
fn said(name: &str, function: &Value, settled: bool) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    if !settled {
        return format!("Changing which version of {name} takes calls; --wait waits for it");
    }
    let version = number(&function["version"]);
    match function["canary"]["version"].as_u64() {
        Some(canary) => {
            let percent = number(&function["canary"]["percent"]);
            format!("Version {canary} of {name} takes {percent} % of the calls, {version} the rest")
        }
        None => format!("Version {version} of {name} takes all calls that name none"),
    }
}

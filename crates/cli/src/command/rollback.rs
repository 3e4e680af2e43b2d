//! `dispatch rollback`: a secret as it was before.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::Context;
use crate::complete;
use crate::noun::Noun;

const EXAMPLES: &str = "\
Examples:
  dispatch get secret db --versions
  dispatch rollback secret db --to 3";

/// Make a new version of a secret with the content of an old one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Rollback {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum What {
    /// Values handlers get
    Secret {
        #[arg(add = complete::names(Noun::Secret))]
        name: String,
        /// Number of the version whose content it is to have again
        #[arg(long, value_name = "VERSION")]
        to: u64,
    },
}

impl Rollback {
    pub async fn run(self, context: &Context) -> Result<()> {
        let What::Secret { name, to } = self.what;
        let path = format!("{}/{name}/rollback", Noun::Secret.path());
        let body = json!({ "version": to });
        let secret = context.session.client.send(Method::POST, &path, &[], Some(&body)).await?.body;
        if context.printer.is_structured() {
            return context.printer.value(&secret);
        }
        let version = &secret["version"];
        context.printer.say(&format!("Secret {name} is as in version {to}: version {version}"));
        Ok(())
    }
}

//! `dispatch prune`: content that nothing needs any more.

use anyhow::Result;
use clap::Args;
use reqwest::Method;

use super::Context;
use crate::{printer, value};

const EXAMPLES: &str = "\
Examples:
  dispatch prune --dry-run
  dispatch prune
  dispatch prune --min-age 7d";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Prune {
    /// Only tell what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Only what is older; what is younger may be of a build that goes on
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = value::seconds)]
    min_age: u64,
}

impl Prune {
    pub async fn run(self, context: &Context) -> Result<()> {
        let query = [
            ("dryRun".to_owned(), self.dry_run.to_string()),
            ("minAge".to_owned(), self.min_age.to_string()),
        ];
        let client = &context.session.client;
        let pruned = client.send(Method::POST, "prune", &query, None).await?.body;
        if context.printer.is_structured() {
            return context.printer.value(&pruned);
        }
        let number = |field: &str| pruned[field].as_u64().unwrap_or(0);
        let did = if self.dry_run { "Would delete" } else { "Deleted" };
        printer::line(&format!(
            "{did} {} unpacked layers and {} blobs: {}",
            number("layers"),
            number("blobs"),
            value::bytes(number("bytes")),
        ));
        Ok(())
    }
}

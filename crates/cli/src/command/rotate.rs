//! `dispatch rotate root-key`: another key for all secrets, while the server runs.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::Context;
use crate::hint::wrong;
use crate::progress::Progress;
use crate::{printer, table};

const PATH: &str = "rootkey";
/// Pause between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  dispatch rotate root-key
  dispatch rotate root-key --status
  dispatch rotate root-key --drop-old";

/// Change a key of the server
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Rotate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum What {
    /// The key that secrets are sealed with: a new one is made, and everything sealed with it
    ///
    /// Secrets can be read and changed meanwhile. The old key stays in root.key until it is
    /// dropped; backups made before need it. A rotation that was interrupted goes on.
    RootKey {
        /// Drop the old keys, which is refused while something is sealed with one
        #[arg(long, conflicts_with = "status")]
        drop_old: bool,
        /// Only show the keys, and how far a rotation is
        #[arg(long)]
        status: bool,
        /// Do not wait for the end
        #[arg(long, conflicts_with_all = ["status", "drop_old"])]
        no_wait: bool,
    },
}

impl Rotate {
    pub async fn run(self, context: &Context) -> Result<()> {
        let What::RootKey { drop_old, status, no_wait } = self.what;
        let client = &context.session.client;
        if status {
            return show(context, &client.get(PATH).await?);
        }
        if drop_old {
            let kept = client.send(Method::DELETE, "rootkey/old", &[], None).await?.body;
            return show(context, &kept);
        }
        let mut keys = client.send(Method::POST, "rootkey/rotate", &[], None).await?.body;
        let mut progress = Progress::begin();
        while !no_wait && keys["rotation"]["state"] == "running" {
            progress.tell(|| {
                let rotation = &keys["rotation"];
                format!("{} of {} are sealed anew", rotation["resealed"], rotation["total"])
            });
            tokio::time::sleep(PAUSE).await;
            keys = client.get(PATH).await?;
        }
        let rotation = &keys["rotation"];
        if rotation["state"] == "failed" {
            let why = table::text(&rotation["error"]);
            return Err(wrong(
                format!("the rotation stopped: {why}"),
                "the old key is still there; dispatch rotate root-key goes on with it",
            ));
        }
        show(context, &keys)
    }
}

fn show(context: &Context, keys: &Value) -> Result<()> {
    if context.printer.is_structured() {
        return context.printer.value(keys);
    }
    let row = |key: &Value| {
        let seals = if key["seals"] == true { "yes" } else { "" };
        [table::text(&key["id"]), seals.to_owned(), key["sealed"].to_string()]
    };
    let all = keys["keys"].as_array().into_iter().flatten();
    printer::line(&table::rows(["KEY", "SEALS", "SEALED"], all.map(row)));
    if let Some(state) = keys["rotation"]["state"].as_str() {
        let (done, total) = (&keys["rotation"]["resealed"], &keys["rotation"]["total"]);
        printer::line(&format!("rotation: {state}, {done} of {total} sealed anew"));
    }
    Ok(())
}

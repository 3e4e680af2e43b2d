//! `dispatch replay`: a dead letter as a new run.

use anyhow::Result;
use clap::Args;
use reqwest::Method;

use super::Context;

#[derive(Debug, Args)]
pub struct Replay {
    /// Run that failed for good: `dispatch get deadletters` lists them
    id: String,
}

impl Replay {
    pub async fn run(self, context: &Context) -> Result<()> {
        let path = format!("deadletters/{}/replay", self.id);
        let run = context.session.client.send(Method::POST, &path, &[], None).await?.body;
        context.printer.value(&run)
    }
}

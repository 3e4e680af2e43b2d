//! `dispatch manage`: contexts, and setting up a server's first users.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{Context as Session, bootstrap, context};
use crate::arguments::Global;

#[derive(Debug, Args)]
pub struct Manage {
    #[command(subcommand)]
    command: ManageCommand,
}

#[derive(Debug, Subcommand)]
enum ManageCommand {
    /// Show and choose contexts
    Context(context::Context),
    /// Make the first organization, service account and policy, and sign in with them
    Bootstrap(bootstrap::Bootstrap),
}

impl Manage {
    pub async fn run(self, session: Session, global: &Global) -> Result<()> {
        match self.command {
            ManageCommand::Context(context) => context.run(session),
            ManageCommand::Bootstrap(bootstrap) => bootstrap.run(session, global).await,
        }
    }
}

//! `dispatch manage`: contexts, and setting up a server's first users.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{Context, bootstrap, context};
use crate::arguments::Global;
use crate::config::Config;
use crate::connect;
use crate::printer::Printer;

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
    pub async fn run(self, printer: Printer, global: &Global) -> Result<()> {
        match self.command {
            ManageCommand::Context(context) => {
                context.run(Config::load(global.config.as_deref())?, printer)
            }
            ManageCommand::Bootstrap(bootstrap) => {
                let session = connect::session(global)?;
                bootstrap.run(Context { session, printer }, global).await
            }
        }
    }
}

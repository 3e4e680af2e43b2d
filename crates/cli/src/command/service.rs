//! `dispatch cordon`, `uncordon` and `drain`: engines taken out of service and back into it.

use anyhow::Result;
use clap::{Args, ValueEnum};
use reqwest::Method;

use super::Context;
use crate::complete;
use crate::noun::Noun;

/// What can be taken out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(aliases = ["engines"])]
    Engine,
}

#[derive(Debug, Args)]
struct Served {
    /// engine
    #[arg(value_enum)]
    kind: Kind,
    #[arg(add = complete::names(Noun::Engine))]
    name: String,
}

/// Let no new deployments onto an engine; those it has go on
#[derive(Debug, Args)]
pub struct Cordon {
    #[command(flatten)]
    served: Served,
}

/// Let new deployments onto an engine again
#[derive(Debug, Args)]
pub struct Uncordon {
    #[command(flatten)]
    served: Served,
}

const DRAIN_EXAMPLES: &str = "\
Examples:
  dispatch drain engine lab
  dispatch drain engine lab --undo";

/// Move all that is on an engine to others, and let nothing new onto it
#[derive(Debug, Args)]
#[command(after_help = DRAIN_EXAMPLES)]
pub struct Drain {
    #[command(flatten)]
    served: Served,
    /// End the draining instead
    #[arg(long)]
    undo: bool,
}

impl Cordon {
    pub async fn run(self, context: &Context) -> Result<()> {
        self.served.send(context, Method::POST, "cordon", "Cordoned").await
    }
}

impl Uncordon {
    pub async fn run(self, context: &Context) -> Result<()> {
        self.served.send(context, Method::DELETE, "cordon", "Uncordoned").await
    }
}

impl Drain {
    pub async fn run(self, context: &Context) -> Result<()> {
        match self.undo {
            true => self.served.send(context, Method::DELETE, "drain", "Not draining").await,
            false => self.served.send(context, Method::POST, "drain", "Draining").await,
        }
    }
}

impl Served {
    async fn send(&self, context: &Context, method: Method, what: &str, did: &str) -> Result<()> {
        let noun = match self.kind {
            Kind::Engine => Noun::Engine,
        };
        let path = format!("{}/{}/{what}", noun.path(), self.name);
        let changed = context.session.client.send(method, &path, &[], None).await?.body;
        context.printer.say(&format!("{did} {}: {}", noun.words(), self.name));
        if context.printer.is_structured() {
            context.printer.value(&changed)?;
        }
        Ok(())
    }
}

//! `dispatch iam`: organizations, policies, service accounts.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::get::{self, List};
use super::{Context, api_object, delete};
use crate::document::{Document, encode_file};
use crate::hint::wrong;
use crate::noun::Noun;
use crate::printer::{Format, Printer};
use crate::value;

#[derive(Debug, Args)]
pub struct Iam {
    #[command(subcommand)]
    command: IamCommand,
}

#[derive(Debug, Subcommand)]
enum IamCommand {
    /// Create an organization, a policy or a service account
    #[command(subcommand, after_help = EXAMPLES)]
    Create(Create),
    /// Show organizations, policies or service accounts
    #[command(subcommand)]
    Get(Get),
    /// Delete an organization, a policy or a service account
    Delete {
        #[arg(value_enum)]
        kind: Kind,
        name: String,
        #[command(flatten)]
        whole: delete::Whole,
    },
}

const EXAMPLES: &str = "\
Examples:
  dispatch iam create organization acme --protect-in-use
  dispatch iam create organization acme --quota functions=20 --quota runsPerSecond=50
  dispatch iam create serviceaccount ci --public-key ci.pub.pem --organization acme
  dispatch iam create policy ci-deploys -s ci -a get,create,update -r function,api";

const QUOTAS: &str = "--quota functions=20; `dispatch iam create organization --help` has them all";

/// What `iam` is about.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    #[value(aliases = ["organizations", "org"])]
    Organization,
    #[value(alias = "policies")]
    Policy,
    #[value(aliases = ["serviceaccounts", "service-account", "service-accounts"])]
    Serviceaccount,
}

#[derive(Debug, Subcommand)]
enum Create {
    /// Whom everything belongs to
    #[command(aliases = ["organizations", "org"])]
    Organization {
        name: String,
        /// Refuse to delete what something else uses
        #[arg(long)]
        protect_in_use: bool,
        /// What it may use at most; may be repeated: functions, routes, storageBytes,
        /// concurrentRuns, runsPerSecond, runsBurst, memorySecondsPerDay
        #[arg(long = "quota", value_name = "LIMIT=NUMBER", value_parser = value::pair)]
        quotas: Vec<String>,
    },
    /// One rule: the subjects may do the actions to the resources
    #[command(alias = "policies")]
    Policy {
        name: String,
        #[arg(long = "subject", short, value_delimiter = ',', required = true)]
        subjects: Vec<String>,
        /// get, create, update, delete or *
        #[arg(long = "action", short, value_delimiter = ',', required = true)]
        actions: Vec<String>,
        /// function, runs, image, baseimage, secret, api, application, usage, iam or *
        #[arg(long = "resource", short, value_delimiter = ',', required = true)]
        resources: Vec<String>,
        /// Holds in every organization
        #[arg(long)]
        global: bool,
    },
    /// A program that signs in with a key
    #[command(aliases = ["serviceaccounts", "service-account", "service-accounts"])]
    Serviceaccount {
        name: String,
        /// PEM of the RSA public key
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Get {
    /// Whom everything belongs to
    #[command(visible_alias = "organizations", alias = "org")]
    Organization(List),
    /// Who may do what
    #[command(visible_alias = "policies")]
    Policy {
        /// Show the rules
        #[arg(long)]
        wide: bool,
        #[command(flatten)]
        list: List,
    },
    /// Programs that sign in with a key
    #[command(visible_alias = "serviceaccounts", aliases = ["service-account", "service-accounts"])]
    Serviceaccount(List),
}

impl Iam {
    pub async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            IamCommand::Create(create) => create.run(context).await,
            IamCommand::Get(Get::Organization(list)) => {
                get::resources(context, Noun::Organization, &list, None).await
            }
            IamCommand::Get(Get::Serviceaccount(list)) => {
                get::resources(context, Noun::Serviceaccount, &list, None).await
            }
            IamCommand::Get(Get::Policy { wide, mut list }) => {
                // v1's -w meant wide here.
                let wide = wide || std::mem::take(&mut list.watch);
                let format = match context.printer.format {
                    Format::Table if wide => Format::Wide,
                    format => format,
                };
                let printer = Printer { format };
                get::resources_as(context, printer, Noun::Policy, &list, None).await
            }
            IamCommand::Delete { kind, name, whole } => {
                let noun = match kind {
                    Kind::Organization => Noun::Organization,
                    Kind::Policy => Noun::Policy,
                    Kind::Serviceaccount => Noun::Serviceaccount,
                };
                delete::delete(context, noun, &name, whole.into()).await?;
                context.printer.say(&format!("Deleted {}: {name}", noun.words()));
                Ok(())
            }
        }
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<()> {
        let (noun, name, body) = match self {
            Create::Organization { name, protect_in_use, quotas } => {
                let mut body = json!({"name": name, "protectInUse": protect_in_use});
                for (limit, number) in quotas.iter().filter_map(|quota| quota.split_once('=')) {
                    let number = value::number::<u64>(number);
                    let number = number.map_err(|rule| wrong(format!("{limit} {rule}"), QUOTAS))?;
                    body["quota"][limit] = number.into();
                }
                (Noun::Organization, name, body)
            }
            Create::Policy { name, subjects, actions, resources, global } => {
                let rule = json!({"subjects": subjects, "actions": actions,
                                  "resources": resources});
                let body = json!({"name": name, "rules": [rule], "global": global});
                (Noun::Policy, name, body)
            }
            Create::Serviceaccount { name, public_key } => {
                let body = json!({"name": name, "publicKey": encode_file(&public_key)?});
                (Noun::Serviceaccount, name, body)
            }
        };
        let document = Document::new(noun, noun.words(), &name, body);
        let made = api_object::create(&context.session.client, &document).await?;
        context.printer.say(&format!("Created {}: {}", noun.words(), document.name));
        if context.printer.is_structured() {
            context.printer.value(&made)?;
        }
        Ok(())
    }
}

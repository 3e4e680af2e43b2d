//! `dispatch iam`: organizations, policies, roles, groups, service accounts, sessions.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::create_policy::CreatePolicy;
use super::create_service_account::CreateServiceAccount;
use super::get::{self, List};
use super::session::{self, GetSession};
use super::{Context, api_object, delete, identity_provider};
use crate::complete;
use crate::document::Document;
use crate::hint::wrong;
use crate::noun::{self, Noun};
use crate::printer::{Format, Printer};
use crate::value;

#[derive(Debug, Args)]
pub struct Iam {
    #[command(subcommand)]
    command: IamCommand,
}

#[derive(Debug, Subcommand)]
enum IamCommand {
    /// Create an organization, a policy, a role, a group or a service account
    #[command(subcommand, after_help = EXAMPLES)]
    Create(Create),
    /// Show organizations, policies, roles, groups, service accounts, sessions or identity
    /// providers
    #[command(subcommand)]
    Get(Get),
    /// Change a role or a group
    #[command(subcommand, after_help = UPDATE_EXAMPLES)]
    Update(Update),
    /// Delete an organization, a policy, a role, a group or a service account, or end a session
    #[command(after_help = DELETE_EXAMPLES)]
    Delete {
        #[arg(value_enum)]
        kind: Kind,
        #[arg(add = complete::names_by_line())]
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
  dispatch iam create role deployer -a get,create,update -r function,api
  dispatch iam create group shop --member ada@example.org,ci
  dispatch iam create policy ci-deploys -s ci --role deployer";

const UPDATE_EXAMPLES: &str = "\
Examples:
  dispatch iam update role deployer -a '*' -r function,api
  dispatch iam update group shop --add grace@example.org --remove ci";

const DELETE_EXAMPLES: &str = "\
Examples:
  dispatch iam delete policy ci-deploys
  dispatch iam delete session current";

const QUOTAS: &str = "--quota functions=20; `dispatch iam create organization --help` has them all";

/// What `iam` is about.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    #[value(aliases = ["organizations", "org"])]
    Organization,
    #[value(alias = "policies")]
    Policy,
    #[value(alias = "roles")]
    Role,
    #[value(alias = "groups")]
    Group,
    #[value(aliases = ["serviceaccounts", "service-account", "service-accounts"])]
    Serviceaccount,
    #[value(alias = "sessions")]
    Session,
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
    #[command(alias = "policies")]
    Policy(Box<CreatePolicy>),
    /// What may be done, under a name that policies give to subjects
    #[command(alias = "roles")]
    Role(Role),
    /// Several subjects, which policies call group:NAME
    #[command(alias = "groups")]
    Group {
        name: String,
        /// User or service account
        #[arg(long = "member", short, value_delimiter = ',')]
        members: Vec<String>,
    },
    /// A program that signs in with a key, or with a token of an issuer it trusts
    #[command(aliases = ["serviceaccounts", "service-account", "service-accounts"])]
    Serviceaccount(CreateServiceAccount),
}

/// A role of one permission.
#[derive(Debug, Args)]
struct Role {
    #[arg(add = complete::names(Noun::Role))]
    name: String,
    /// get, create, update, delete or *
    #[arg(long = "action", short, value_delimiter = ',', required = true)]
    actions: Vec<String>,
    /// function, runs, image, baseimage, secret, api, application, iam or *; of one thing as
    /// function/NAME, of several as function/BEGINNING*
    #[arg(long = "resource", short, value_delimiter = ',', required = true)]
    resources: Vec<String>,
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
    /// What may be done, by name; first the roles every organization has
    #[command(visible_alias = "roles")]
    Role(List),
    /// Several subjects under one name
    #[command(visible_alias = "groups")]
    Group(List),
    /// Programs that sign in with a key, or with a token of an issuer they trust
    #[command(visible_alias = "serviceaccounts", aliases = ["service-account", "service-accounts"])]
    Serviceaccount(List),
    /// Who is signed in, since when and from where: one's own, or all for those who may get iam
    #[command(visible_alias = "sessions")]
    Session(GetSession),
    /// What there is to sign in with
    #[command(name = "identityprovider", visible_alias = "identityproviders",
              aliases = ["identity-provider", "identity-providers"])]
    IdentityProvider,
}

#[derive(Debug, Subcommand)]
enum Update {
    /// Make a role mean something else, for all who have it
    #[command(alias = "roles")]
    Role(Role),
    /// Take subjects into a group, or out of it
    #[command(alias = "groups")]
    Group {
        #[arg(add = complete::names(Noun::Group))]
        name: String,
        /// User or service account that joins
        #[arg(
            long,
            value_delimiter = ',',
            value_name = "MEMBER",
            required_unless_present = "remove"
        )]
        add: Vec<String>,
        /// User or service account that leaves
        #[arg(long, value_delimiter = ',', value_name = "MEMBER")]
        remove: Vec<String>,
    },
}

impl Iam {
    pub async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            IamCommand::Create(create) => create.run(context).await,
            IamCommand::Get(get) => get.run(context).await,
            IamCommand::Update(update) => update.run(context).await,
            IamCommand::Delete { kind, name, whole } => {
                let noun = match kind {
                    Kind::Organization => Noun::Organization,
                    Kind::Policy => Noun::Policy,
                    Kind::Role => Noun::Role,
                    Kind::Group => Noun::Group,
                    Kind::Serviceaccount => Noun::Serviceaccount,
                    Kind::Session => return session::delete(context, &name).await,
                };
                delete::delete(context, noun, &name, whole.into()).await?;
                context.printer.say(&format!("Deleted {}: {name}", noun.words()));
                Ok(())
            }
        }
    }
}

impl Get {
    async fn run(self, context: &Context) -> Result<()> {
        let (noun, list) = match self {
            Get::Organization(list) => (Noun::Organization, list),
            Get::Role(list) => (Noun::Role, list),
            Get::Group(list) => (Noun::Group, list),
            Get::Serviceaccount(list) => (Noun::Serviceaccount, list),
            Get::Session(sessions) => return sessions.run(context).await,
            Get::IdentityProvider => return identity_provider::run(context).await,
            Get::Policy { wide, mut list } => {
                // v1's -w meant wide here.
                let wide = wide || std::mem::take(&mut list.watch);
                let format = match context.printer.format {
                    Format::Table if wide => Format::Wide,
                    format => format,
                };
                let printer = Printer { format };
                return get::resources_as(context, printer, Noun::Policy, &list, None).await;
            }
        };
        get::resources(context, noun, &list, None).await
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
            Create::Policy(policy) => (Noun::Policy, policy.name.clone(), policy.body()),
            Create::Role(role) => (Noun::Role, role.name.clone(), role.body()),
            Create::Group { name, members } => {
                let body = json!({"name": name, "members": members});
                (Noun::Group, name, body)
            }
            Create::Serviceaccount(account) => {
                (Noun::Serviceaccount, account.name.clone(), account.body()?)
            }
        };
        let document = Document::new(noun, noun.words(), &name, body);
        let made = api_object::create(&context.session.client, &document).await?;
        done(context, "Created", noun, &document.name, &made)
    }
}

impl Role {
    fn body(&self) -> Value {
        let permission = json!({"actions": self.actions, "resources": self.resources});
        json!({"name": self.name, "permissions": [permission]})
    }
}

impl Update {
    async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let (noun, name, body) = match self {
            Update::Role(role) => {
                // What is not said here stays.
                let mut body = noun::read(client, Noun::Role, &role.name).await?;
                body["permissions"] = role.body()["permissions"].take();
                (Noun::Role, role.name, body)
            }
            Update::Group { name, add, remove } => {
                let mut body = noun::read(client, Noun::Group, &name).await?;
                let before = body["members"].as_array().into_iter().flatten();
                let before = before.filter_map(Value::as_str).map(str::to_owned);
                let mut members: Vec<String> = before.collect();
                members.retain(|member| !remove.contains(member) && !add.contains(member));
                members.extend(add);
                body["members"] = json!(members);
                (Noun::Group, name, body)
            }
        };
        let path = format!("{}/{name}", noun.path());
        let changed = client.send(Method::PUT, &path, &[], Some(&body)).await?.body;
        done(context, "Updated", noun, &name, &changed)
    }
}

fn done(context: &Context, word: &str, noun: Noun, name: &str, body: &Value) -> Result<()> {
    context.printer.say(&format!("{word} {}: {name}", noun.words()));
    if context.printer.is_structured() {
        context.printer.value(body)?;
    }
    Ok(())
}

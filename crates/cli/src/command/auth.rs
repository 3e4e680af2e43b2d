//! `dispatch auth`: what one may do, and why.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum as _};
use dispatch_model::ResourceKind;
use dispatch_wire::client::Client;
use reqwest::Method;

use super::Context;
use crate::complete;
use crate::hint::wrong;
use crate::noun::Noun;
use crate::printer::{self, Format};
use crate::{table, value};

const EXAMPLES: &str = "\
Examples:
  dispatch auth can-i create function -n shop --explain
  dispatch auth can-i delete function checkout
  dispatch auth can-i update secret --application shop
  dispatch auth can-i get runs --as ci
  dispatch auth can-i --list";

const TOKEN_EXAMPLES: &str = "\
Examples:
  curl -H \"Authorization: Bearer $(dispatch auth token)\" https://dispatch.example.org/v1/image";

#[derive(Debug, Args)]
pub struct Auth {
    #[command(subcommand)]
    command: AuthCommand,
}

#[derive(Debug, Subcommand)]
enum AuthCommand {
    /// Whether one may do something: yes (exit 0) or no (exit 1)
    #[command(after_help = EXAMPLES)]
    CanI(CanI),
    /// Print the token a command would sign in with, for other clients: a secret, good for an hour
    #[command(after_help = TOKEN_EXAMPLES)]
    Token,
}

#[derive(Debug, Args)]
struct CanI {
    /// get, create, update or delete
    #[arg(value_name = "VERB", required_unless_present = "list",
          value_parser = ["get", "create", "update", "delete"])]
    action: Option<String>,
    /// Kind of resource, or a word of policies: function, runs, secret, policy, iam, …
    #[arg(required_unless_present = "list")]
    resource: Option<String>,
    /// One thing of the kind [default: any]
    #[arg(add = complete::names_by_line())]
    name: Option<String>,
    /// Organization it is asked for (same as --organization)
    #[arg(short = 'n', value_name = "ORGANIZATION")]
    of_organization: Option<String>,
    /// A thing of an application
    #[arg(long, short, add = complete::names(Noun::Application))]
    application: Option<String>,
    /// A thing with a tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = value::pair)]
    tags: Vec<String>,
    /// Name the policy that decides
    #[arg(long)]
    explain: bool,
    /// Ask about another subject, as one who may get iam
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<String>,
    /// Show all that one may do
    #[arg(long, conflicts_with_all = ["action", "resource", "name", "application", "tags",
                                      "explain"])]
    list: bool,
}

impl Auth {
    pub async fn run(self, context: &Context) -> Result<()> {
        let AuthCommand::CanI(question) = self.command else { return token(context) };
        let client = match &question.of_organization {
            Some(organization) => context.session.client.of_organization(organization),
            None => context.session.client.clone(),
        };
        match question.list {
            true => question.show_all(context, &client).await,
            false => question.ask(context, &client).await,
        }
    }
}

/// Prints the token of the context, or of the flags.
fn token(context: &Context) -> Result<()> {
    let token = context.session.client.bearer()?.ok_or_else(|| {
        let fix = "`dispatch login`, or --service-account NAME --jwt-private-key FILE";
        wrong("nothing is there to sign in with by a token", fix)
    })?;
    printer::line(&token);
    Ok(())
}

impl CanI {
    async fn ask(&self, context: &Context, client: &Client) -> Result<()> {
        let answer = client.send(Method::GET, "iam/can-i", &self.query()?, None).await?.body;
        let allowed = answer["allowed"] == true;
        if context.printer.is_structured() {
            context.printer.value(&answer)?;
        } else {
            let yes = if allowed { "yes" } else { "no" };
            match answer["reason"].as_str() {
                Some(reason) => {
                    let reason = reason.strip_prefix("denied: ").unwrap_or(reason);
                    printer::line(&format!("{yes}: {reason}"));
                }
                None => printer::line(yes),
            }
        }
        if !allowed {
            // The answer is all there is to say.
            std::process::exit(1);
        }
        Ok(())
    }

    fn query(&self) -> Result<Vec<(String, String)>> {
        let resource = self.resource.as_deref().unwrap_or_default();
        let (resource, of_path) = match resource.split_once('/') {
            Some((resource, name)) => (resource, Some(name)),
            None => (resource, None),
        };
        if let (Some(of_path), Some(name)) = (of_path, &self.name) {
            let said = format!("{resource}/{of_path} {name} names two things");
            return Err(wrong(said, "ask about one of them"));
        }
        let name = self.name.as_deref().or(of_path);
        let (resource, name) = in_words_of_policies(resource, name);
        let application = self.application.iter().map(|name| format!("Application={name}"));
        let tags = self.tags.iter().cloned().chain(application).map(|tag| ("tags", tag));
        let query = [("action", self.action.clone()), ("resource", Some(resource)), ("name", name)];
        let mut query: Vec<_> =
            query.into_iter().filter_map(|(key, value)| Some((key, value?))).chain(tags).collect();
        if self.explain {
            query.push(("explain", "true".to_owned()));
        }
        query.extend(self.subject.clone().map(|subject| ("as", subject)));
        Ok(query.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    async fn show_all(&self, context: &Context, client: &Client) -> Result<()> {
        let subject = self.subject.iter().map(|subject| ("as".to_owned(), subject.clone()));
        let query: Vec<_> = subject.collect();
        let rights = client.send(Method::GET, "iam/rights", &query, None).await?.body;
        if context.printer.is_structured() {
            return context.printer.value(&rights);
        }
        let rights = rights.as_array().cloned().unwrap_or_default();
        printer::line(&table::rights(&rights, context.printer.format == Format::Wide));
        Ok(())
    }
}

/// `policy p` is `iam`'s `policy/p`; a function is a function, and so are functions.
fn in_words_of_policies(resource: &str, name: Option<&str>) -> (String, Option<String>) {
    let own = name.map(str::to_owned);
    if matches!(resource, "run" | "runs") {
        return ("runs".to_owned(), own);
    }
    let kind = match (resource, Noun::from_str(resource, true)) {
        // No noun: a session is not written.
        ("session" | "sessions", _) => ResourceKind::Session,
        (_, Ok(noun)) => noun.kind(),
        (_, Err(_)) => return (resource.to_owned(), own),
    };
    match kind.path().split_once('/') {
        Some((word, below)) => (word.to_owned(), name.map(|name| format!("{below}/{name}"))),
        None => (kind.policy_resource().to_owned(), own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_become_words_of_policies() {
        let words = |resource, name| {
            let (resource, name) = in_words_of_policies(resource, name);
            format!("{resource} {}", name.unwrap_or_default())
        };
        assert_eq!(words("functions", Some("f")), "function f");
        assert_eq!(words("base-image", None), "baseimage ");
        assert_eq!(words("policy", Some("p")), "iam policy/p");
        assert_eq!(words("role", None), "iam ");
        assert_eq!(words("session", Some("s")), "iam session/s");
        assert_eq!(words("run", None), "runs ");
        assert_eq!(words("serviceclass", Some("s")), "serviceclass s");
    }
}

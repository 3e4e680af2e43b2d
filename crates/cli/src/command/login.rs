//! `dispatch login`: what the current context signs in with.

mod browser;
mod catcher;
mod device;
mod exchange;
mod page;
mod password;
mod program;
mod proof;
mod provider;
mod v1;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use dispatch_wire::client::Client;
use serde_json::{Value, json};

use super::Context;
use crate::arguments::Global;
use crate::hint::wrong;
use crate::{complete, connect};
use exchange::SignedIn;
use provider::Way;

const EXAMPLES: &str = "\
Examples:
  dispatch login --host dispatch.example.org
  dispatch login --provider corp --no-browser
  dispatch login --device
  pass show corp | dispatch login --username ada --password-stdin
  dispatch login --service-account acme/ci --identity-token-file token.jwt
  dispatch login --service-account acme/ci --jwt-private-key ci.pem";

/// Sign in: with an identity provider of the server, or as a service account.
///
/// Without more, the browser signs in with the server's identity provider. Where no browser opens,
/// a code that is typed on another device does. Programs sign in as a service account, with its
/// private key or with a token of an identity provider that it trusts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Login {
    /// Identity provider to sign in with [default: the only one, or asked for]
    #[arg(long, value_name = "NAME", add = complete::identity_providers())]
    provider: Option<String>,
    /// Sign in with a code that is typed on another device
    #[arg(long, conflicts_with_all = ["no_browser", "username", "password_stdin"])]
    device: bool,
    /// Open no browser here, print the address to visit
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    no_browser: bool,
    /// Sign in with a password, as this user
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Token to sign in with as --service-account, of a CI system or Kubernetes; - reads standard
    /// input
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["provider", "device", "no_browser", "username", "password_stdin"])]
    identity_token_file: Option<PathBuf>,
    /// Do not ask the server whether the credentials are good
    #[arg(long)]
    no_check: bool,
    /// Print more while signing in
    #[arg(long, hide = true)]
    debug: bool,
}

/// What a context signs in with: a sign-in replaces all of it.
pub const KEYS: [&str; 5] = ["cookie", "token", "serviceaccount", "jwtprivatekey", "audience"];

/// What a session's token begins with.
pub const SESSION: &str = "dispatch_session_";

/// What a sign-in leaves in the context.
type Values = Vec<(&'static str, Value)>;

impl Login {
    pub async fn run(self, mut context: Context, global: &Global) -> Result<()> {
        let client = &context.session.client;
        let (more, begun) = if let Some(file) = &self.identity_token_file {
            with_token(program::sign_in(&context.session, global, file).await?)
        } else if self.is_of_a_person(global) {
            let providers = provider::offered(client).await?;
            match providers {
                Some(providers) => with_token(self.person(client, providers).await?),
                None if self.provider.is_some() || !self.may_be_a_browser() => {
                    return Err(provider::nothing());
                }
                None => {
                    let open = !self.no_browser && browser::is_here();
                    (vec![("cookie", json!(v1::sign_in(client, open).await?))], None)
                }
            }
        } else {
            if !self.no_check {
                check(&connect::session(global)?.client).await?;
            }
            (given(&context, global)?, None)
        };
        let of_session = begun.as_ref().and_then(|begun| begun.session["organization"].as_str());
        if let (None, Some(organization)) = (&context.session.organization, of_session) {
            context.session.organization = Some(organization.to_owned());
        }
        let mut values: Values = KEYS.map(|key| (key, Value::Null)).into();
        values.extend(more);
        let host = remember_server(&mut values, &context, global);
        context.session.config.change(|config| {
            config.set(&host, &values);
            Ok(())
        })?;
        context.printer.say("You have successfully logged in");
        match begun {
            Some(begun) if context.printer.is_structured() => context.printer.value(&begun.session),
            Some(begun) => {
                context.printer.say(&begun.who());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether a person is to sign in: asked for, or nothing else was given.
    fn is_of_a_person(&self, global: &Global) -> bool {
        self.provider.is_some()
            || self.no_browser
            || self.wanted().is_some()
            || global.token.is_none() && global.service_account.is_none()
    }

    fn may_be_a_browser(&self) -> bool {
        self.wanted().is_none_or(|way| way == Way::Browser)
    }

    fn wanted(&self) -> Option<Way> {
        let named = [
            (self.device, Way::Device),
            (self.no_browser, Way::Browser),
            (self.username.is_some(), Way::Password),
        ];
        named.into_iter().find(|(given, _)| *given).map(|(_, way)| way)
    }

    async fn person(
        &self,
        client: &Client,
        providers: Vec<dispatch_wire::IdentityProvider>,
    ) -> Result<SignedIn> {
        let wanted = self.wanted();
        let provider = provider::choose(providers, self.provider.as_deref(), wanted)?;
        let browser_is_here = browser::is_here();
        let name = &provider.name;
        match provider::way(&provider, wanted, browser_is_here)? {
            Way::Browser => {
                browser::sign_in(client, name, browser_is_here && !self.no_browser).await
            }
            Way::Device => {
                if wanted.is_none() {
                    crate::printer::progress("No browser opens here; another device will do.");
                }
                device::sign_in(client, name).await
            }
            Way::Password => {
                let username = self.username.as_deref();
                password::sign_in(client, name, username, self.password_stdin).await
            }
        }
    }
}

fn with_token(begun: SignedIn) -> (Values, Option<SignedIn>) {
    (vec![("token", json!(begun.token))], Some(begun))
}

/// What the flags give, to be remembered as it is.
fn given(context: &Context, global: &Global) -> Result<Values> {
    if let Some(token) = &global.token {
        return Ok(vec![("token", json!(token))]);
    }
    let account = global.service_account.as_deref().unwrap_or_default();
    let file = global.jwt_private_key.as_ref();
    let file = file.ok_or_else(|| {
        let said = format!("service account {account} has nothing to sign in with");
        wrong(said, "--jwt-private-key FILE, or --identity-token-file FILE")
    })?;
    let file: PathBuf = file.canonicalize().with_context(|| file.display().to_string())?;
    let issuer = connect::issuer(account, context.session.organization.as_deref());
    Ok(vec![
        ("serviceaccount", json!(issuer)),
        ("jwtprivatekey", json!(file)),
        ("audience", json!(global.audience)),
    ])
}

/// Whether the server knows who this is: any answer but 401 shows that.
async fn check(client: &Client) -> Result<()> {
    match client.get("iam/organization").await {
        Err(error) if error.status().is_none_or(|status| status == 401) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Adds where the server is, so that later commands find it; returns its host.
pub fn remember_server(
    values: &mut Vec<(&'static str, Value)>,
    context: &Context,
    global: &Global,
) -> String {
    let base = context.session.client.base();
    let url = url::Url::parse(base).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("localhost").to_owned();
    values.push(("host", json!(host)));
    if let Some(url) = &url {
        values.push(("port", json!(url.port_or_known_default())));
        values.push(("scheme", json!(url.scheme())));
    }
    if let Some(organization) = &context.session.organization {
        values.push(("organization", json!(organization)));
    }
    if let Some(insecure) = global.insecure {
        values.push(("insecure", json!(insecure)));
    }
    host
}

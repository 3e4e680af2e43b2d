//! From flags, environment and configuration file to a client.

use std::path::Path;

use anyhow::{Context as _, Result};
use dispatch_wire::client::{self, Client, Credentials};
use serde_json::Value;

use crate::address::Address;
use crate::arguments::Global;
use crate::config::Config;
use crate::hint::{Wrong, wrong};
use crate::printer;

/// What a command runs with.
pub struct Session {
    pub client: Client,
    pub config: Config,
    pub organization: Option<String>,
    set_aside: Option<SetAside>,
}

/// What the file's current context has, when nothing of the file is of the server in use.
struct SetAside {
    /// The server it is of.
    url: String,
    organization: Option<String>,
    signs_in: bool,
}

impl Session {
    /// Who is used to an organization of the file should not take another for it.
    pub fn tell_what_is_left_out(&self) {
        let Some(SetAside { url, organization: Some(name), .. }) = &self.set_aside else { return };
        if self.organization.is_none() {
            let base = self.client.base();
            printer::warning(&format!(
                "the configuration file's organization {name} is for {url}; --organization names \
                 one of {base}"
            ));
        }
    }

    /// What may be behind an error that comes later.
    pub fn notes(&self) -> Notes {
        let nobody = self.client.is_nobody();
        let set_aside = self.set_aside.as_ref().filter(|aside| nobody && aside.signs_in);
        let elsewhere = set_aside.map(|aside| aside.url.clone());
        Notes { base: self.client.base().to_owned(), elsewhere }
    }
}

/// What is known when a command begins, for whoever meets an error at its end.
pub struct Notes {
    base: String,
    elsewhere: Option<String>,
}

impl Notes {
    /// Says why nobody is signed in where somebody thinks to be.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        // What was said of the error already explains it.
        let plain = error.chain().next().and_then(|first| first.downcast_ref::<client::Error>());
        match &self.elsewhere {
            Some(own) if plain.and_then(client::Error::status) == Some(401) => {
                let said = format!("what the configuration file signs in with is for {own}");
                let hint =
                    format!("`dispatch login` with the address of {} signs in there", self.base);
                error.context(Wrong::new(said, hint))
            }
            _ => error,
        }
    }
}

/// What a server takes tokens for unless its configuration says otherwise.
const AUDIENCE: &str = "dispatch";
/// What v1 writes where there is no cookie.
const UNSET: &str = "unset";

/// Builds the client: flags win over the environment (which clap reads), that over the file.
pub fn session(global: &Global) -> Result<Session> {
    let mut session = found(global)?;
    let credentials = credentials(global, &session)?;
    session.client = session.client.signed_in_with(credentials);
    Ok(session)
}

/// The same of somebody who is not signed in, or not any more, whatever is left of that.
pub fn stranger(global: &Global) -> Result<Session> {
    Ok(Session { set_aside: None, ..found(global)? })
}

/// The session of nobody yet.
fn found(global: &Global) -> Result<Session> {
    let mut config = Config::load(global.config.as_deref())?;
    let given = Address::given(global);
    let (signs_in, chosen) = (signs_in(&config), config.text("organization"));
    let current = config.used().map(Address::of).unwrap_or_default();
    if given.says_something() {
        let is_of = |context: &Value| given.leads_to(&Address::of(context));
        config.of_server(is_of, global.organization.as_deref());
    }
    let rest = match config.used() {
        Some(context) => Address::of(context),
        // Another port of the same host is likely spoken to in the same way.
        None if given.may_be_at(&current) => current.clone(),
        None => Address::default(),
    };
    let base = given.or(&rest).url()?;
    let organization = global.organization.clone().or_else(|| config.text("organization"));
    let insecure = global
        .insecure
        .unwrap_or_else(|| config.value("insecure").and_then(Value::as_bool).unwrap_or(false));
    let client = Client::new(&base, organization.clone(), Credentials::None, insecure)?;
    let url = current.url().ok().filter(|_| config.used().is_none());
    let set_aside = url.map(|url| SetAside { url, organization: chosen, signs_in });
    Ok(Session { client, config, organization, set_aside })
}

/// Whether the context in use has something to sign in with.
pub fn signs_in(config: &Config) -> bool {
    let cookie = config.text("cookie").filter(|cookie| cookie != UNSET);
    cookie.is_some() || config.text("token").or_else(|| config.text("serviceaccount")).is_some()
}

/// What was given, or what the file has for this very server.
fn credentials(global: &Global, session: &Session) -> Result<Credentials> {
    let Session { config, organization, .. } = session;
    let text = |key: &str| config.text(key);
    // A session of the file does not stand in for an account that was named.
    let remembered = || text("token").filter(|_| global.service_account.is_none());
    if let Some(token) = global.token.clone().or_else(remembered) {
        return Ok(Credentials::Token(token));
    }
    let account = global.service_account.clone().or_else(|| text("serviceaccount"));
    let in_file = || text("jwtprivatekey").map(Into::into);
    if let Some(account) = account {
        let file = global.jwt_private_key.clone().or_else(in_file);
        let file = file.ok_or_else(|| account_needs_key(&account))?;
        return Ok(Credentials::Account {
            issuer: issuer(&account, organization.as_deref()),
            private_key_pem: read_key(&file)?,
            audience: audience(global, config),
        });
    }
    let cookie = text("cookie").filter(|cookie| cookie != UNSET);
    Ok(cookie.map_or(Credentials::None, Credentials::Cookie))
}

/// Whom the tokens of a service account are for.
pub fn audience(global: &Global, config: &Config) -> String {
    let given = global.audience.clone().or_else(|| config.text("audience"));
    given.unwrap_or_else(|| AUDIENCE.to_owned())
}

/// `ORG/NAME`; an account without one is of the organization in use, as in v1.
pub fn issuer(account: &str, organization: Option<&str>) -> String {
    match organization {
        Some(organization) if !account.contains('/') => format!("{organization}/{account}"),
        _ => account.to_owned(),
    }
}

/// What is said when only one half of a service account is there.
pub fn account_needs_key(account: &str) -> anyhow::Error {
    wrong(
        format!("service account {account} has no private key to sign with"),
        "--jwt-private-key FILE, or DISPATCH_JWT_PRIVATE_KEY",
    )
}

fn read_key(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the private key {}", file.display()))
}

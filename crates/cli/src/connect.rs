//! From flags, environment and configuration file to a client.

use std::net::Ipv6Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use dispatch_wire::client::{self, Client, Credentials};

use crate::arguments::Global;
use crate::config::Config;
use crate::hint::{Wrong, wrong};

/// What a command runs with.
pub struct Session {
    pub client: Client,
    pub config: Config,
    pub organization: Option<String>,
    /// Where what signs in by the configuration file belongs, if that is not this server.
    pub elsewhere: Option<String>,
}

impl Session {
    /// What may be behind an error that comes later.
    pub fn notes(&self) -> Notes {
        Notes { base: self.client.base().to_owned(), elsewhere: self.elsewhere.clone() }
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
        let status = error.downcast_ref::<client::Error>().and_then(client::Error::status);
        match &self.elsewhere {
            Some(own) if status == Some(401) => {
                let said = format!("what the configuration file signs in with is for {own}");
                let hint =
                    format!("`dispatch login` with the address of {} signs in there", self.base);
                error.context(Wrong::new(said, hint))
            }
            _ => error,
        }
    }
}

/// Where the server is when nothing says so: the embedded one of this machine.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 8080;
/// What a server takes tokens for unless its configuration says otherwise.
const AUDIENCE: &str = "dispatch";

/// Builds the client: flags win over the environment (which clap reads), that over the file.
pub fn session(global: &Global) -> Result<Session> {
    let mut session = stranger(global)?;
    let credentials = credentials(global, &session)?;
    session.client = session.client.signed_in_with(credentials);
    Ok(session)
}

/// The same of somebody who is not signed in, or not any more, whatever is left of that.
pub fn stranger(global: &Global) -> Result<Session> {
    let mut config = Config::load(global.config.as_deref())?;
    let current = of_file(&config);
    if let Some(host) = &global.host {
        config = config.at(host);
    }
    let given = (global.host.clone(), global.scheme.clone(), global.port);
    let base = base(given, &config)?;
    // A context that names no host is of whichever is given.
    let elsewhere = match config.is_used() {
        true => of_file(&config).filter(|own| *own != base),
        false => current,
    };
    let organization = global.organization.clone().or_else(|| config.text("organization"));
    let insecure = global.insecure.unwrap_or_else(|| {
        config.value("insecure").and_then(serde_json::Value::as_bool).unwrap_or(false)
    });
    let client = Client::new(&base, organization.clone(), Credentials::None, insecure)?;
    Ok(Session { client, config, organization, elsewhere })
}

/// The server that the context in use is of, if it names one.
fn of_file(config: &Config) -> Option<String> {
    config.text("host").and_then(|_| base((None, None, None), config).ok())
}

/// Host, scheme and port of flags or environment.
type Given = (Option<String>, Option<String>, Option<u16>);

fn base((host, scheme, port): Given, config: &Config) -> Result<String> {
    let host = host.or_else(|| config.text("host"));
    let scheme = scheme.or_else(|| config.text("scheme"));
    let port =
        port.map(u64::from).or_else(|| config.value("port").and_then(serde_json::Value::as_u64));
    if let Some(scheme) = scheme.as_deref().filter(|s| !matches!(*s, "http" | "https")) {
        return Err(wrong(format!("scheme {scheme:?} is neither http nor https"), "--scheme http"));
    }
    let Some(host) = host else {
        let port = port.unwrap_or(u64::from(PORT));
        return Ok(format!("{}://{HOST}:{port}", scheme.as_deref().unwrap_or("http")));
    };
    let host = host_in_url(&host)?;
    // v1 spoke https on 443 unless told otherwise; a loopback host is an embedded server.
    let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    let scheme = scheme.unwrap_or_else(|| if local { "http" } else { "https" }.to_owned());
    let usual = if scheme == "https" { 443 } else { u64::from(PORT) };
    Ok(format!("{scheme}://{host}:{}", port.unwrap_or(usual)))
}

/// The host as a URL has it. A whole address is a frequent guess: it is taken apart for the user.
fn host_in_url(host: &str) -> Result<String> {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if inner.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{inner}]"));
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.is_empty() && host.chars().all(is_name) {
        return Ok(host.to_owned());
    }
    let address = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
    let url = url::Url::parse(&address).ok();
    let hint = url.as_ref().and_then(|url| {
        let scheme = host.contains("://").then(|| format!(" --scheme {}", url.scheme()));
        let port = url.port().map(|port| format!(" --port {port}"));
        let (scheme, port) = (scheme.unwrap_or_default(), port.unwrap_or_default());
        Some(format!("--host {}{port}{scheme}", url.host_str()?))
    });
    let hint = hint.unwrap_or_else(|| "--host 127.0.0.1 --port 8080 --scheme http".to_owned());
    Err(wrong(format!("host {host:?} must be a name or an IP address alone"), hint))
}

/// What was given, or what the file has for this very server.
fn credentials(global: &Global, session: &Session) -> Result<Credentials> {
    let Session { config, organization, elsewhere, .. } = session;
    let text = |key: &str| config.text(key).filter(|_| elsewhere.is_none());
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
    let cookie = text("cookie").filter(|cookie| cookie != "unset");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        assert_eq!(host_in_url("::1").unwrap(), "[::1]");
        assert_eq!(host_in_url("[::1]").unwrap(), "[::1]");
        assert_eq!(host_in_url("dispatch.example.org").unwrap(), "dispatch.example.org");
        for (guess, hint) in [
            ("http://h.example:8080/v1", "--host h.example --port 8080 --scheme http"),
            ("127.0.0.1:8080", "--host 127.0.0.1 --port 8080"),
            ("", "--host 127.0.0.1 --port 8080 --scheme http"),
        ] {
            let error = host_in_url(guess).unwrap_err();
            assert_eq!(error.downcast_ref::<crate::hint::Wrong>().unwrap().hint, hint);
        }
    }
}

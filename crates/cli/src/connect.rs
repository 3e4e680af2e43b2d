//! From flags, environment and configuration file to a client.

use std::net::Ipv6Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use dispatch_wire::client::{Client, Credentials};

use crate::arguments::Global;
use crate::config::Config;
use crate::hint::wrong;

/// What a command runs with.
pub struct Session {
    pub client: Client,
    pub config: Config,
    pub organization: Option<String>,
}

/// Where the server is when nothing says so: the embedded one of this machine.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 8080;
/// What a server takes tokens for unless its configuration says otherwise.
const AUDIENCE: &str = "dispatch";

/// Builds the client: flags win over the environment (which clap reads), that over the file.
pub fn session(global: &Global) -> Result<Session> {
    let mut session = stranger(global)?;
    let credentials = credentials(global, &session.config, session.organization.as_deref())?;
    session.client = session.client.signed_in_with(credentials);
    Ok(session)
}

/// The same of somebody who is not signed in, or not any more, whatever is left of that.
pub fn stranger(global: &Global) -> Result<Session> {
    let config = Config::load(global.config.as_deref())?;
    let base = base(global, &config)?;
    let organization = global.organization.clone().or_else(|| config.text("organization"));
    let insecure = global.insecure.unwrap_or_else(|| {
        config.value("insecure").and_then(serde_json::Value::as_bool).unwrap_or(false)
    });
    let client = Client::new(&base, organization.clone(), Credentials::None, insecure)?;
    Ok(Session { client, config, organization })
}

fn base(global: &Global, config: &Config) -> Result<String> {
    let host = global.host.clone().or_else(|| config.text("host"));
    let scheme = global.scheme.clone().or_else(|| config.text("scheme"));
    let port = global.port.map(u64::from);
    let port = port.or_else(|| config.value("port").and_then(serde_json::Value::as_u64));
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
    if host.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{host}]"));
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

fn credentials(
    global: &Global,
    config: &Config,
    organization: Option<&str>,
) -> Result<Credentials> {
    // A session of the file does not stand in for an account that was named.
    let remembered = || config.text("token").filter(|_| global.service_account.is_none());
    if let Some(token) = global.token.clone().or_else(remembered) {
        return Ok(Credentials::Token(token));
    }
    let account = global.service_account.clone().or_else(|| config.text("serviceaccount"));
    let in_file = || config.text("jwtprivatekey").map(Into::into);
    if let Some(account) = account {
        let file = global.jwt_private_key.clone().or_else(in_file);
        let file = file.ok_or_else(|| account_needs_key(&account))?;
        return Ok(Credentials::Account {
            issuer: issuer(&account, organization),
            private_key_pem: read_key(&file)?,
            audience: audience(global, config),
        });
    }
    let cookie = config.text("cookie").filter(|cookie| cookie != "unset");
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

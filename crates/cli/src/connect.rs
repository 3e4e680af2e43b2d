//! From flags, environment and configuration file to a client.

use std::path::Path;

use anyhow::{Context as _, Result};
use dispatch_wire::client::{Client, Credentials};

use crate::arguments::Global;
use crate::config::Config;

/// What a command runs with.
pub struct Session {
    pub client: Client,
    pub config: Config,
    pub organization: Option<String>,
}

/// Where the server is when nothing says so: the embedded one of this machine.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 8080;

/// Builds the client: flags win over the environment (which clap reads), that over the file.
pub fn session(global: &Global) -> Result<Session> {
    let config = Config::load(global.config.as_deref())?;
    let base = base(global, &config);
    let organization = global.organization.clone().or_else(|| config.text("organization"));
    let insecure = global.insecure.unwrap_or_else(|| {
        config.value("insecure").and_then(serde_json::Value::as_bool).unwrap_or(false)
    });
    let credentials = credentials(global, &config, organization.as_deref())?;
    let client = Client::new(&base, organization.clone(), credentials, insecure)?;
    Ok(Session { client, config, organization })
}

fn base(global: &Global, config: &Config) -> String {
    let in_file = config.text("host");
    let host = global.host.clone().or_else(|| in_file.clone());
    let port_in_file = || config.value("port").and_then(|port| port.as_u64());
    let scheme = global.scheme.clone().or_else(|| config.text("scheme"));
    match host {
        None => {
            let port = global.port.map(u64::from).or_else(port_in_file);
            let port = port.unwrap_or(u64::from(PORT));
            format!("{}://{HOST}:{port}", scheme.as_deref().unwrap_or("http"))
        }
        Some(host) => {
            // v1 spoke https on 443 unless told otherwise; a loopback host is an embedded server.
            let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
            let scheme = scheme.unwrap_or_else(|| if local { "http" } else { "https" }.to_owned());
            let port = global.port.map(u64::from).or_else(port_in_file);
            let usual = if scheme == "https" { 443 } else { u64::from(PORT) };
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            format!("{scheme}://{host}:{}", port.unwrap_or(usual))
        }
    }
}

fn credentials(
    global: &Global,
    config: &Config,
    organization: Option<&str>,
) -> Result<Credentials> {
    if let Some(token) = global.token.clone().or_else(|| config.text("token")) {
        return Ok(Credentials::Token(token));
    }
    let account = global.service_account.clone().or_else(|| config.text("serviceaccount"));
    let in_file = || config.text("jwtprivatekey").map(Into::into);
    if let Some(account) = account {
        let file = global.jwt_private_key.clone().or_else(in_file);
        let file = file.context("--service-account needs --jwt-private-key FILE")?;
        return Ok(Credentials::Account {
            issuer: issuer(&account, organization),
            private_key_pem: read_key(&file)?,
        });
    }
    let cookie = config.text("cookie").filter(|cookie| cookie != "unset");
    Ok(cookie.map_or(Credentials::None, Credentials::Cookie))
}

/// `ORG/NAME`; an account without one is of the organization in use, as in v1.
pub fn issuer(account: &str, organization: Option<&str>) -> String {
    match organization {
        Some(organization) if !account.contains('/') => format!("{organization}/{account}"),
        _ => account.to_owned(),
    }
}

fn read_key(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the private key {}", file.display()))
}

//! What can be set on a GitHub sign-in, and its reading.

use std::time::Duration;

use dispatch_driver::identity::refused;
use dispatch_driver::{Config, Result, Setting, Value};

/// GitHub's own REST API; an Enterprise Server has it below its own address.
const API: &str = "https://api.github.com";
const PUBLIC: &str = "https://github.com";
const TIMEOUT_MOST: Duration = Duration::from_secs(60);

pub const SETTINGS: &[Setting] = &[
    Setting::new("url", Value::Url, "GitHub, or a GitHub Enterprise Server.").default(PUBLIC),
    Setting::new(
        "apiUrl",
        Value::Url,
        "Its REST API; `https://api.github.com` for GitHub, `/api/v3` below `url` elsewhere.",
    ),
    Setting::new("clientId", Value::Text, "Id of the OAuth App or GitHub App.").required(),
    Setting::new(
        "clientSecret",
        Value::Text,
        "Secret of the app; without it only devices sign in.",
    )
    .secret(),
    Setting::new(
        "allowedOrganizations",
        Value::List,
        "Only members of one of these sign in, and only their groups count; without it everybody \
         does, and has no groups.",
    ),
    Setting::new(
        "name",
        Value::Choice(&["email", "login"]),
        "What policies name people by: the primary e-mail, if GitHub has verified it, or the \
         login. Who has no such e-mail is named by the login.",
    )
    .default("email"),
    Setting::new("scopes", Value::List, "Asked for at a sign-in.")
        .default("read:user,user:email,read:org"),
    Setting::new("caFile", Value::Text, "Certificates (PEM) trusted besides the machine's."),
    Setting::new("timeout", Value::Duration, "Longest time of one request; at most `60s`.")
        .default("10s"),
];

/// Settings in the form the driver uses.
pub struct Settings {
    pub url: String,
    pub api: String,
    pub client_id: String,
    pub organizations: Vec<String>,
    pub by_email: bool,
    pub scopes: String,
    pub timeout: Duration,
}

impl Settings {
    pub fn read(config: &Config) -> Result<Self> {
        let url = config.url("url").unwrap_or(PUBLIC).to_owned();
        let api = match config.url("apiUrl") {
            Some(api) => api.to_owned(),
            None if url == PUBLIC => API.to_owned(),
            None => format!("{url}/api/v3"),
        };
        let timeout = config.duration("timeout").unwrap_or(TIMEOUT_MOST);
        if timeout > TIMEOUT_MOST {
            return Err(refused("settings.timeout is too long; write 60s or less"));
        }
        let organizations = config.list("allowedOrganizations");
        Ok(Self {
            url,
            api,
            client_id: config.text("clientId").unwrap_or_default().to_owned(),
            organizations: organizations.into_iter().map(str::to_ascii_lowercase).collect(),
            by_email: config.text("name") != Some("login"),
            scopes: config.list("scopes").join(" "),
            timeout,
        })
    }
}

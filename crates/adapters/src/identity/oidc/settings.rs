//! What can be set on an OpenID Connect provider, and its reading.

use std::time::Duration;

use dispatch_driver::identity::refused;
use dispatch_driver::{Config, Result, Setting, Value};

/// Largest difference of clocks that can be set.
const SKEW_MOST: Duration = Duration::from_secs(600);
const TIMEOUT_MOST: Duration = Duration::from_secs(60);

pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "issuer",
        Value::Url,
        "The issuer, exactly as the provider's own discovery document and tokens have it.",
    )
    .required(),
    Setting::new(
        "clientId",
        Value::Text,
        "Id of Dispatch's registration as a client; without it only programs' tokens are verified.",
    ),
    Setting::new(
        "clientSecret",
        Value::Text,
        "Secret of that registration; a public client has none.",
    )
    .secret(),
    Setting::new(
        "clientAuthentication",
        Value::Choice(&["auto", "basic", "post"]),
        "How the secret is sent; `auto` takes what the provider announces, `basic` first.",
    )
    .default("auto"),
    Setting::new(
        "scopes",
        Value::List,
        "Asked for at a sign-in; `offline_access` lets groups be looked up again where the \
         provider wants it for that.",
    )
    .default("openid,profile,email"),
    Setting::new(
        "nameClaim",
        Value::Text,
        "Claim that policies name people by; without it the e-mail if the provider has verified \
         it, else a `preferred_username` that looks like no e-mail, else the subject.",
    ),
    Setting::new(
        "groupsClaim",
        Value::Text,
        "Claim with the groups; dots lead into objects, as in `realm_access.roles`.",
    )
    .default("groups"),
    Setting::new("caFile", Value::Text, "Certificates (PEM) trusted besides the machine's."),
    Setting::new("timeout", Value::Duration, "Longest time of one request; at most `60s`.")
        .default("10s"),
    Setting::new(
        "clockSkew",
        Value::Duration,
        "How far the provider's clock may be from the server's; at most `10m`.",
    )
    .default("60s"),
    Setting::new(
        "keysInterval",
        Value::Duration,
        "Least time between two looks for new keys, when tokens name one that is not known.",
    )
    .default("10s"),
];

/// How the client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    Auto,
    Basic,
    Post,
}

/// Settings in the form the driver uses.
pub struct Settings {
    pub issuer: String,
    pub client_id: Option<String>,
    pub client_authentication: ClientAuthentication,
    pub scopes: String,
    pub name_claim: Option<String>,
    pub groups_claim: String,
    pub timeout: Duration,
    pub skew: Duration,
    pub keys_interval: Duration,
}

impl Settings {
    pub fn read(config: &Config) -> Result<Self> {
        let text = |key| config.text(key).map(str::to_owned);
        let scopes = config.list("scopes");
        if !scopes.contains(&"openid") {
            return Err(refused("settings.scopes lacks openid, without which nobody is told"));
        }
        if config.text("clientSecret").is_some() && config.text("clientId").is_none() {
            return Err(refused("secrets.clientSecret needs settings.clientId"));
        }
        Ok(Self {
            issuer: text("issuer").unwrap_or_default(),
            client_id: text("clientId"),
            client_authentication: match config.text("clientAuthentication") {
                Some("basic") => ClientAuthentication::Basic,
                Some("post") => ClientAuthentication::Post,
                _ => ClientAuthentication::Auto,
            },
            scopes: scopes.join(" "),
            name_claim: text("nameClaim"),
            groups_claim: text("groupsClaim").unwrap_or_default(),
            timeout: within(config, "timeout", TIMEOUT_MOST)?,
            skew: within(config, "clockSkew", SKEW_MOST)?,
            keys_interval: within(config, "keysInterval", SKEW_MOST)?,
        })
    }
}

fn within(config: &Config, key: &str, most: Duration) -> Result<Duration> {
    match config.duration(key).unwrap_or_default() {
        good if good <= most => Ok(good),
        _ => Err(refused(format!("settings.{key} is too long; write {}s or less", most.as_secs()))),
    }
}

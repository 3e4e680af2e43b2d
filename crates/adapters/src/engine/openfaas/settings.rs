//! What may be set of an engine over OpenFaaS.

use std::time::Duration;

use dispatch_driver::{Config, Result, Setting, Value, engine_type};

pub const SETTINGS: &[Setting] = &[
    Setting::new("gateway", Value::Url, "Where OpenFaaS's gateway listens.").required(),
    Setting::new("user", Value::Text, "User of the gateway's basic authentication.")
        .default("admin"),
    Setting::new("password", Value::Text, "Password of the gateway's basic authentication.")
        .secret(),
    Setting::new(
        "token",
        Value::Text,
        "Bearer token in place of user and password, as OpenFaaS's \
        OpenID Connect sign-in gives it.",
    )
    .secret(),
    Setting::new(
        "tokenFile",
        Value::Text,
        "File with the bearer token, read again for each \
        request, since such tokens are renewed.",
    ),
    Setting::new(
        "namespace",
        Value::Text,
        "Namespace of the functions; the gateway's own when \
        not given.",
    ),
    Setting::new(
        "secrets",
        Value::List,
        "Secrets of the gateway that all functions get as files \
        in /var/openfaas/secrets.",
    ),
    Setting::new(
        "minReplicas",
        Value::Number,
        "Replicas of each function at least; 0 lets \
        OpenFaaS stop all of an idle one.",
    )
    .default("1"),
    Setting::new(
        "maxReplicas",
        Value::Number,
        "Replicas of each function at most; OpenFaaS's \
        own limit when not given.",
    ),
    Setting::new(
        "async",
        Value::Flag,
        "Send calls to OpenFaaS's queue, which answers by a \
        callback.",
    )
    .default("false"),
    Setting::new(
        "callbackListen",
        Value::Text,
        "Address where callbacks are taken: \
        0.0.0.0:8085.",
    ),
    Setting::new("callbackUrl", Value::Url, "How OpenFaaS's queue worker reaches that address."),
    Setting::new("caFile", Value::Text, "Certificates (PEM) trusted besides the machine's."),
    Setting::new("connectTimeout", Value::Duration, "Longest time until a connection stands.")
        .default("2s"),
    Setting::new("buildTimeout", Value::Duration, "Longest time until a function answers.")
        .default("2m"),
];

/// The settings, read.
pub struct Settings {
    pub namespace: Option<String>,
    pub secrets: Vec<String>,
    pub min_replicas: u64,
    pub max_replicas: Option<u64>,
    pub callback: Option<Callback>,
    pub build_timeout: Duration,
}

/// Where asynchronous calls are answered.
pub struct Callback {
    pub listen: String,
    pub url: String,
}

impl Settings {
    pub fn read(config: &Config) -> Result<Self> {
        let callback = match (config.flag("async"), callback(config)) {
            (false, (None, None)) => None,
            (true, (Some(listen), Some(url))) => Some(Callback { listen, url }),
            (true, _) => {
                let text = "settings.async needs settings.callbackListen and \
                            settings.callbackUrl: where calls are answered";
                return Err(engine_type::refused(text));
            }
            (false, _) => {
                let text = "settings.callbackListen and settings.callbackUrl are for \
                            settings.async: set it to true, or leave them out";
                return Err(engine_type::refused(text));
            }
        };
        let given = ["password", "token", "tokenFile"].map(|key| config.text(key));
        if given.iter().flatten().count() > 1 {
            let text = "secrets.password, secrets.token and settings.tokenFile are three ways to \
                        sign in: give one of them";
            return Err(engine_type::refused(text));
        }
        let (min_replicas, max_replicas) =
            (config.number("minReplicas").unwrap_or(1), config.number("maxReplicas"));
        if max_replicas.is_some_and(|most| most < min_replicas.max(1)) {
            let text = "settings.maxReplicas must be at least settings.minReplicas, and 1";
            return Err(engine_type::refused(text));
        }
        Ok(Self {
            namespace: config.text("namespace").map(str::to_owned),
            secrets: config.list("secrets").into_iter().map(str::to_owned).collect(),
            min_replicas,
            max_replicas,
            callback,
            build_timeout: config.duration("buildTimeout").unwrap_or(Duration::from_secs(120)),
        })
    }
}

fn callback(config: &Config) -> (Option<String>, Option<String>) {
    let listen = config.text("callbackListen").map(str::to_owned);
    (listen, config.url("callbackUrl").map(str::to_owned))
}

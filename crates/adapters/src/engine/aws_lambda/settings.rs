//! What an operator sets, and what it means.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_driver::engine_type::refused;
use dispatch_driver::{Config, Language, Result, Setting, Value};
use reqwest::Url;

use super::signature::Credentials;

pub const SETTINGS: &[Setting] = &[
    Setting::new("region", Value::Text, "AWS region of the functions: eu-central-1.").required(),
    Setting::new("role", Value::Text, "ARN of the role that functions run with.").required(),
    Setting::new("accessKeyId", Value::Text, "Access key of who manages and calls functions.")
        .secret(),
    Setting::new("secretAccessKey", Value::Text, "Its secret.").secret(),
    Setting::new("sessionToken", Value::Text, "Token of a temporary access key.").secret(),
    Setting::new(
        "profile",
        Value::Text,
        "Profile of the shared credentials file, where no access key is given.",
    ),
    Setting::new(
        "endpoint",
        Value::Url,
        "Address of Lambda, where it is not the region's public one: a VPC endpoint.",
    ),
    Setting::new(
        "package",
        Value::Choice(&["zip", "image"]),
        "Whether functions go to Lambda as archives of their source or as their own images.",
    )
    .default("zip"),
    Setting::new(
        "repository",
        Value::Text,
        "Registry in ECR that has functions' images in the place of the one they were pushed to: \
         123456789012.dkr.ecr.eu-central-1.amazonaws.com.",
    ),
    Setting::new(
        "runtimes",
        Value::List,
        "Lambda runtimes of languages, in the place of the usual ones: python3=python3.12.",
    ),
    Setting::new("layers", Value::List, "ARNs of layers that every archive is given."),
    Setting::new(
        "architecture",
        Value::Choice(&["x86_64", "arm64"]),
        "Processors that functions run on.",
    )
    .default("x86_64"),
    Setting::new("ephemeralStorageMib", Value::Number, "Size of /tmp in MiB, from 512 to 10240.")
        .default("512"),
    Setting::new("subnets", Value::List, "Subnets of a VPC that functions connect from."),
    Setting::new("securityGroups", Value::List, "Security groups in that VPC."),
    Setting::new(
        "reserveConcurrency",
        Value::Flag,
        "Whether a function's concurrency is reserved for it, and is its limit for all servers \
         together.",
    )
    .default("false"),
    Setting::new("tags", Value::List, "Further tags of functions: team=shop."),
    Setting::new("readyTimeout", Value::Duration, "Longest time until a function can be called.")
        .default("5m"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package {
    Zip,
    Image,
}

pub struct Settings {
    pub region: String,
    pub role: String,
    pub endpoint: Url,
    pub package: Package,
    pub repository: Option<String>,
    runtimes: BTreeMap<String, String>,
    pub layers: Vec<String>,
    pub architecture: String,
    pub ephemeral_storage_mib: u64,
    pub subnets: Vec<String>,
    pub groups: Vec<String>,
    pub reserve_concurrency: bool,
    pub tags: BTreeMap<String, String>,
    pub ready_timeout: Duration,
}

impl Settings {
    pub fn of(config: &Config) -> Result<Self> {
        let text = |key| config.text(key).map(str::to_owned);
        let list = |key| config.list(key).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let region = text("region").expect("it is required");
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !region.bytes().all(plain) {
            return Err(refused(format!("`region` is {region:?}; write one such as eu-central-1")));
        }
        let endpoint = config.url("endpoint").map_or_else(|| public(&region), str::to_owned);
        let endpoint = Url::parse(&endpoint)
            .map_err(|error| refused(format!("`endpoint` is {endpoint:?}: {error}")))?;
        let storage = config.number("ephemeralStorageMib").unwrap_or(512);
        if !(512..=10_240).contains(&storage) {
            let rule = "Lambda allows 512 to 10240";
            return Err(refused(format!("`ephemeralStorageMib` is {storage}; {rule}")));
        }
        let (subnets, groups) = (list("subnets"), list("securityGroups"));
        if subnets.is_empty() != groups.is_empty() {
            return Err(refused("`subnets` and `securityGroups` go together; give both"));
        }
        let image = config.text("package") == Some("image");
        Ok(Self {
            role: text("role").expect("it is required"),
            endpoint,
            region,
            package: if image { Package::Image } else { Package::Zip },
            repository: config.url("repository").map(str::to_owned),
            runtimes: pairs(config, "runtimes")?,
            layers: list("layers"),
            architecture: text("architecture").expect("it has a default"),
            ephemeral_storage_mib: storage,
            subnets,
            groups,
            reserve_concurrency: config.flag("reserveConcurrency"),
            tags: pairs(config, "tags")?,
            ready_timeout: config.duration("readyTimeout").expect("it has a default"),
        })
    }

    /// Lambda's runtime of a language, and the handler it calls there.
    pub fn runtime<'a>(&'a self, language: &'a Language) -> Option<(&'a str, &'a str)> {
        let usual = language.lambda.as_ref();
        let named = self.runtimes.get(&language.name).map(String::as_str);
        let runtime = named.or(usual.map(|lambda| lambda.runtime.as_str()))?;
        match usual {
            Some(lambda) if !runtime.starts_with("provided") => Some((runtime, &lambda.handler)),
            // Those start `bootstrap`, whatever the handler is.
            _ if runtime.starts_with("provided") => Some((runtime, "bootstrap")),
            _ => None,
        }
    }
}

/// The access key among the engine's own secrets.
pub fn credentials(config: &Config) -> Result<Option<Credentials>> {
    let text = |key| config.text(key).map(str::to_owned);
    match (text("accessKeyId"), text("secretAccessKey")) {
        (Some(access_key_id), Some(secret_access_key)) => {
            let session_token = text("sessionToken");
            Ok(Some(Credentials { access_key_id, secret_access_key, session_token }))
        }
        (None, None) => Ok(None),
        _ => Err(refused("accessKeyId and secretAccessKey go together; give both in secrets")),
    }
}

/// The region's public address. China's regions have a domain of their own.
fn public(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://lambda.{region}.amazonaws.com{china}")
}

fn pairs(config: &Config, key: &str) -> Result<BTreeMap<String, String>> {
    let pair = |word: &str| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(refused(format!("`{key}` has {word:?}; write NAME=VALUE"))),
    };
    config.list(key).into_iter().map(pair).collect()
}

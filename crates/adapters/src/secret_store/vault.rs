//! HashiCorp Vault: the key-value engine, version 2, over its HTTP API.

mod api;
mod login;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::secret_store::{SecretCredentials, SecretRead, SecretReference};
use dispatch_driver::secret_store::{failed, refused};
use dispatch_driver::{Error, Result, SecretStore, SecretValues};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use api::{Answer, Api};
use login::Login;

/// How a Vault is reached and signed in to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// URLs of its nodes. What one cannot do another is asked for; redirects are followed to these
    /// alone.
    pub addresses: Vec<String>,
    /// Of Vault Enterprise.
    #[serde(default)]
    pub namespace: String,
    /// Where the key-value engine is mounted.
    #[serde(default = "mount")]
    pub mount: String,
    #[serde(default)]
    pub auth: Auth,
    /// Where the way of signing in is mounted; under its own name when empty.
    #[serde(default)]
    pub auth_mount: String,
    /// The role of `kubernetes`.
    #[serde(default)]
    pub role: String,
    /// The token that `kubernetes` proves this server with.
    #[serde(default = "token_file")]
    pub token_file: PathBuf,
    /// Certificates (PEM) trusted besides the machine's.
    #[serde(default)]
    pub ca_file: String,
    /// Longest time of one request, in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

/// How the server signs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    #[default]
    Token,
    AppRole,
    Kubernetes,
}

fn mount() -> String {
    "secret".to_owned()
}

fn token_file() -> PathBuf {
    PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token")
}

fn timeout_ms() -> u64 {
    5_000
}

/// One Vault.
pub struct Vault {
    api: Api,
    mount: String,
    login: Login,
}

impl Vault {
    /// # Errors
    /// For an address that is none, credentials that are missing, and certificates that cannot be
    /// read.
    pub fn new(
        settings: Settings,
        credentials: Option<Arc<dyn SecretCredentials>>,
    ) -> Result<Self> {
        let mount = segments("mount", &settings.mount)?;
        let limit = Duration::from_millis(settings.timeout_ms.clamp(100, 60_000));
        let ca_file = Some(settings.ca_file.as_str()).filter(|file| !file.is_empty());
        let client = crate::client::client(limit, ca_file)?;
        let api = Api::new(client, &settings.addresses, &settings.namespace, limit)?;
        Ok(Self { api, mount, login: Login::new(settings, credentials)? })
    }
}

/// A path of Vault that an operator wrote, without slashes around it.
fn segments(field: &str, text: &str) -> Result<String> {
    let path = text.trim_matches('/');
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '%' | '\\');
    match path.is_empty() || path.contains(odd) {
        true => Err(refused(format!("{field} {text:?} is no path of a Vault"))),
        false => Ok(path.to_owned()),
    }
}

#[async_trait]
impl SecretStore for Vault {
    async fn read(&self, reference: &SecretReference) -> Result<SecretRead> {
        let mut path = format!("{}/data/{}", self.mount, reference.path);
        if let Some(version) = reference.version {
            path.push_str(&format!("?version={version}"));
        }
        let token = self.login.token(&self.api).await?;
        let mut answer = self.api.send(Method::GET, &path, Some(&token), None).await?;
        if answer.status == StatusCode::FORBIDDEN {
            // The token may have been revoked; with a new one it is clear whose fault it is.
            self.login.forget(&token).await;
            let token = self.login.token(&self.api).await?;
            answer = self.api.send(Method::GET, &path, Some(&token), None).await?;
        }
        match answer.status {
            StatusCode::OK => content(&answer),
            StatusCode::NOT_FOUND => Err(absent(&answer)),
            StatusCode::FORBIDDEN => Err(refused("the Vault does not let this server read it")),
            _ => Err(answer.failure("the reading of a secret")),
        }
    }
}

fn content(answer: &Answer) -> Result<SecretRead> {
    let data = &answer.body["data"];
    let Some(pairs) = data["data"].as_object() else { return Err(absent(answer)) };
    let version = &data["metadata"]["version"];
    let version = version.as_u64().ok_or_else(|| {
        failed("the Vault's answer is none of a key-value engine of version 2: look at its mount")
    })?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        // What is no text is given as JSON.
        other => other.to_string(),
    };
    let values: SecretValues =
        pairs.iter().map(|(key, value)| (key.clone(), Zeroizing::new(text(value)))).collect();
    Ok(SecretRead { values, version: Some(version.to_string()), lease: None })
}

/// Of a version that was deleted the Vault still tells that it was there.
fn absent(answer: &Answer) -> Error {
    let metadata = &answer.body["data"]["metadata"];
    match (metadata["version"].as_u64(), metadata["destroyed"].as_bool()) {
        (Some(version), Some(true)) => refused(format!("version {version} was destroyed there")),
        (Some(version), _) => refused(format!("version {version} was deleted there")),
        _ => refused("there is nothing at its path"),
    }
}

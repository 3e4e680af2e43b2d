//! Signing in to a Vault, and staying so: one token for all readers, renewed before it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_driver::secret_store::{SecretCredentials, failed, refused};
use dispatch_driver::{Result, SecretValues};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::api::{Answer, Api};
use super::{Auth, Settings, segments};

/// Longest token of a service account, in bytes.
const MAX_TOKEN: u64 = 64 << 10;

pub struct Login {
    settings: Settings,
    /// Where its method is mounted.
    mount: String,
    credentials: Option<Arc<dyn SecretCredentials>>,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: Arc<Zeroizing<String>>,
    /// When it is to be renewed, or another one got; never when absent.
    renew: Option<Instant>,
    ends: Option<Instant>,
    renewable: bool,
}

impl Token {
    fn new(text: Zeroizing<String>, seconds: u64, renewable: bool) -> Self {
        let life = (seconds > 0).then(|| Duration::from_secs(seconds));
        let now = Instant::now();
        let (renew, ends) = (life.map(|life| now + life * 2 / 3), life.map(|life| now + life));
        Self { text: Arc::new(text), renew, ends, renewable }
    }
}

impl Login {
    pub fn new(
        settings: Settings,
        credentials: Option<Arc<dyn SecretCredentials>>,
    ) -> Result<Self> {
        let (own, needed) = match settings.auth {
            Auth::Token => ("token", Some("token")),
            Auth::AppRole => ("approle", Some("role_id and secret_id")),
            Auth::Kubernetes => ("kubernetes", None),
        };
        if let Some(keys) = needed.filter(|_| credentials.is_none()) {
            return Err(refused(format!("credentials must name a secret with {keys}")));
        }
        if settings.auth == Auth::Kubernetes && settings.role.is_empty() {
            return Err(refused("role is empty: kubernetes signs in by the name of one"));
        }
        let mount = match settings.auth_mount.as_str() {
            "" => own.to_owned(),
            text => segments("auth_mount", text)?,
        };
        Ok(Self { settings, mount, credentials, token: Mutex::default() })
    }

    /// A token that is good now. Many who ask at the same time sign in once.
    pub async fn token(&self, api: &Api) -> Result<Arc<Zeroizing<String>>> {
        let mut kept = self.token.lock().await;
        if let Some(token) = &mut *kept {
            let now = Instant::now();
            if token.renew.is_none_or(|at| now < at) {
                return Ok(token.text.clone());
            }
            if token.renewable
                && let Ok(renewed) = renew(api, &token.text).await
            {
                *token = renewed;
                return Ok(token.text.clone());
            }
        }
        match self.sign_in(api).await {
            Ok(token) => Ok(kept.insert(token).text.clone()),
            // Until it ends the old one will do.
            Err(error) => match &*kept {
                Some(old) if old.ends.is_none_or(|at| Instant::now() < at) => Ok(old.text.clone()),
                _ => Err(error),
            },
        }
    }

    /// A token was not taken.
    pub async fn forget(&self, token: &Zeroizing<String>) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|kept| **kept.text == **token) {
            *kept = None;
        }
    }

    async fn sign_in(&self, api: &Api) -> Result<Token> {
        let body = match self.settings.auth {
            Auth::Token => return given(api, self.credential("token").await?).await,
            Auth::AppRole => {
                let values = self.credentials().await?;
                let key = |key: &str| values.get(key).map(|text| text.as_str().to_owned());
                let (role, secret) = key("role_id").zip(key("secret_id")).ok_or_else(|| {
                    failed("the credentials of the Vault lack role_id or secret_id")
                })?;
                json!({"role_id": role, "secret_id": secret})
            }
            Auth::Kubernetes => {
                json!({"role": self.settings.role, "jwt": self.account().await?.as_str()})
            }
        };
        let path = format!("auth/{}/login", self.mount);
        token_of(&api.send(Method::POST, &path, None, Some(&body)).await?)
    }

    async fn credentials(&self) -> Result<SecretValues> {
        match &self.credentials {
            Some(credentials) => credentials.read().await,
            None => Err(failed("the Vault has no credentials")),
        }
    }

    async fn credential(&self, key: &str) -> Result<Zeroizing<String>> {
        let value = self.credentials().await?.remove(key);
        value.ok_or_else(|| failed(format!("the credentials of the Vault lack {key}")))
    }

    /// The token of the pod's own account.
    async fn account(&self) -> Result<Zeroizing<String>> {
        let file = &self.settings.token_file;
        let unread = |why: String| {
            tracing::warn!(file = %file.display(), why, "a service account's token cannot be read");
            failed("the token of the server's service account cannot be read")
        };
        let size = tokio::fs::metadata(file).await.map_err(|error| unread(error.to_string()))?;
        if size.len() > MAX_TOKEN {
            return Err(unread("it is no token".to_owned()));
        }
        let text = tokio::fs::read_to_string(file).await;
        let text = Zeroizing::new(text.map_err(|error| unread(error.to_string()))?);
        Ok(Zeroizing::new(text.trim().to_owned()))
    }
}

/// A token an operator made: how long it lives is asked for.
async fn given(api: &Api, token: Zeroizing<String>) -> Result<Token> {
    let answer = api.send(Method::GET, "auth/token/lookup-self", Some(&token), None).await?;
    if answer.status != StatusCode::OK {
        return Err(failed("the Vault does not take the token of its credentials"));
    }
    let data = &answer.body["data"];
    let seconds = data["ttl"].as_u64().unwrap_or(0);
    Ok(Token::new(token, seconds, data["renewable"].as_bool().unwrap_or(false)))
}

async fn renew(api: &Api, token: &str) -> Result<Token> {
    let nothing = json!({});
    let path = "auth/token/renew-self";
    token_of(&api.send(Method::POST, path, Some(token), Some(&nothing)).await?)
}

fn token_of(answer: &Answer) -> Result<Token> {
    if answer.status != StatusCode::OK {
        return Err(answer.failure("signing in"));
    }
    let auth: &Value = &answer.body["auth"];
    let text = auth["client_token"].as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| failed("the Vault's answer to signing in holds no token"))?;
    let seconds = auth["lease_duration"].as_u64().unwrap_or(0);
    let renewable = auth["renewable"].as_bool().unwrap_or(false);
    Ok(Token::new(Zeroizing::new(text.to_owned()), seconds, renewable))
}

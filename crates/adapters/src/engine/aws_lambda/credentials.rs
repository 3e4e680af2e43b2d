//! Where credentials come from, and when they are fetched again.

mod metadata;
mod profile;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use tokio::sync::Mutex;

use super::signature::Credentials;

/// Credentials that end are fetched again so long before.
const AHEAD: Duration = Duration::from_secs(300);

/// Credentials, and when they end.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    pub credentials: Credentials,
    pub ends: Option<DateTime<Utc>>,
}

/// All places credentials can be in, asked in this order: the engine's own secrets, the
/// environment, the shared profile file, the container's and the machine's metadata.
pub struct Source {
    /// The engine's own.
    given: Option<Credentials>,
    profile: Option<String>,
    held: ArcSwapOption<Held>,
    fetching: Mutex<()>,
    http: reqwest::Client,
}

impl Source {
    pub fn new(given: Option<Credentials>, profile: Option<String>, http: reqwest::Client) -> Self {
        let (held, fetching) = (ArcSwapOption::empty(), Mutex::new(()));
        Self { given, profile, held, fetching, http }
    }

    /// Those to sign with. Out of memory, but for the first time and when they have ended.
    ///
    /// # Errors
    /// When no place has any: no request can be sent then.
    pub async fn current(self: &Arc<Self>) -> Result<Arc<Held>> {
        if let Some(held) = self.held.load_full() {
            let left = held.ends.map(|ends| ends - Utc::now());
            match left.map(|left| left.to_std().unwrap_or_default()) {
                Some(Duration::ZERO) => {}
                Some(left) if left < AHEAD => {
                    self.fetch_beside();
                    return Ok(held);
                }
                _ => return Ok(held),
            }
        }
        let _one = self.fetching.lock().await;
        if let Some(held) = self.held.load_full().filter(|held| !near_end(held)) {
            return Ok(held);
        }
        self.fetch().await
    }

    /// Fetches them anew while the old ones still hold; what fails is tried with the next call.
    fn fetch_beside(self: &Arc<Self>) {
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(_one) = this.fetching.try_lock() else { return };
            if let Err(error) = this.fetch().await {
                tracing::warn!(%error, "AWS credentials end soon and could not be fetched anew");
            }
        });
    }

    async fn fetch(&self) -> Result<Arc<Held>> {
        let held = Arc::new(self.find().await.map_err(|text| {
            Error::backend(code::ENGINE006, Retry::After(Duration::from_secs(5)), text).unreached()
        })?);
        self.held.store(Some(held.clone()));
        Ok(held)
    }

    async fn find(&self) -> std::result::Result<Held, String> {
        let lasting = |credentials| Held { credentials, ends: None };
        if let Some(given) = &self.given {
            return Ok(lasting(given.clone()));
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if self.profile.is_none()
            && let Some(credentials) = environment(variable)
        {
            return Ok(lasting(credentials));
        }
        if let Some(credentials) = profile::read(self.profile.as_deref(), variable)? {
            // Somebody may write others into the file.
            return Ok(Held { credentials, ends: Some(Utc::now() + 2 * AHEAD) });
        }
        if self.profile.is_some() {
            return Err("the profile has no access key; see `profile` of the engine".to_owned());
        }
        if let Some(held) = metadata::container(&self.http, variable).await? {
            return Ok(held);
        }
        metadata::machine(&self.http, variable).await?.ok_or_else(|| {
            "no AWS credentials: give the engine the secrets accessKeyId and secretAccessKey, or \
             the server an environment, a profile or a role that has them"
                .to_owned()
        })
    }
}

fn near_end(held: &Held) -> bool {
    held.ends.is_some_and(|ends| ends <= Utc::now())
}

fn environment(variable: impl Fn(&str) -> Option<String>) -> Option<Credentials> {
    Some(Credentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable("AWS_SESSION_TOKEN"),
    })
}

#[cfg(test)]
mod tests;

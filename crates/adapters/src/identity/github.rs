//! GitHub, which speaks OAuth 2.0 but not OpenID Connect: who somebody is comes from its REST API.

mod api;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_driver::identity::{
    Answer, DevicePending, DevicePoll, DeviceStarted, IdentityProvider, IdentityType, Methods,
    Pending, Refresh, SecretText, SignedIn, Start, Started,
};
use dispatch_driver::{Config, Error, Health, Result, Retry, Setting};
use dispatch_model::code;
use serde::Deserialize;
use serde_json::{Map, json};

use super::browser::{self, DeviceAnswer, refusal};
use super::http::Http;
use super::over;
use api::{Api, Groups};
use settings::Settings;

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What a refresh is made with: a refresh token of an app whose tokens expire, or the access token
/// of one whose tokens do not.
const BY_REFRESH: &str = "refresh:";
const BY_ACCESS: &str = "access:";

/// Makes sign-ins by GitHub.
pub struct GithubType;

impl IdentityType for GithubType {
    fn name(&self) -> &'static str {
        "github"
    }

    fn about(&self) -> &'static str {
        "GitHub, or a GitHub Enterprise Server: organizations and teams are groups"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::SETTINGS
    }

    fn make(&self, config: Config) -> Result<Arc<dyn IdentityProvider>> {
        let settings = Settings::read(&config)?;
        let http = Http::new(&settings.url, config.text("caFile"), settings.timeout)?;
        http.url(&settings.api)?;
        let secret = config.text("clientSecret").map(SecretText::new);
        Ok(Arc::new(Github { http, settings, secret, name: config.name }))
    }
}

struct Github {
    name: String,
    http: Http,
    settings: Settings,
    secret: Option<SecretText>,
}

/// As the token endpoint sends it: also refusals come with 200.
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<SecretText>,
    refresh_token: Option<SecretText>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Why there is no token yet.
enum Waiting {
    Pending,
    SlowDown,
    No(Error),
}

impl Github {
    fn secret(&self) -> Result<&SecretText> {
        let flow = "sign-in by browser, as secrets.clientSecret is not set";
        self.secret.as_ref().ok_or_else(|| self.lacks(flow))
    }

    async fn tokens(&self, form: &[(&str, &str)]) -> std::result::Result<Tokens, Waiting> {
        let url = format!("{}/login/oauth/access_token", self.settings.url);
        let url = self.http.url(&url).map_err(Waiting::No)?;
        let mut form = form.to_vec();
        form.push(("client_id", &self.settings.client_id));
        let request = self.http.client.post(url).header("accept", "application/json").form(&form);
        let reply = self.http.send(request).await.map_err(Waiting::No)?;
        let tokens: Tokens = reply.json("tokens").map_err(Waiting::No)?;
        match tokens.error.as_deref() {
            None => Ok(tokens),
            Some("authorization_pending") => Err(Waiting::Pending),
            Some("slow_down") => Err(Waiting::SlowDown),
            Some(error) => Err(Waiting::No(refusal(error, tokens.error_description.as_deref()))),
        }
    }

    async fn signed_in(&self, tokens: Tokens) -> Result<SignedIn> {
        let Some(access) = tokens.access_token else {
            let text = "GitHub's answer has no token";
            return Err(Error::backend(code::IDENTITY004, Retry::Never, text));
        };
        let mut person = self.person(&access).await?;
        let kept = match &tokens.refresh_token {
            Some(refresh) => format!("{BY_REFRESH}{}", refresh.reveal()),
            None => format!("{BY_ACCESS}{}", access.reveal()),
        };
        person.refresh = Some(SecretText::new(kept));
        Ok(person)
    }

    async fn person(&self, token: &SecretText) -> Result<SignedIn> {
        let api = Api { http: &self.http, base: &self.settings.api, token };
        let user = api.user().await?;
        let (email, groups) = tokio::try_join!(api.email(), api.groups())?;
        let groups = self.allowed(groups)?;
        let name = email.as_deref().filter(|_| self.settings.by_email).unwrap_or(&user.login);
        let mut claims = Map::new();
        claims.insert("login".to_owned(), json!(user.login));
        claims.insert("type".to_owned(), json!(user.kind));
        let person = SignedIn::new(&user.id.to_string(), name)?;
        let person = person.displayed(user.name.as_deref().or(Some(&user.login)));
        let mut person = person.with_email(email.as_deref()).in_groups(groups.names);
        groups.notices.into_iter().for_each(|text| person.note(text));
        Ok(person.with_claims(claims))
    }

    /// Groups of the organizations that count; somebody of none of these does not sign in. Where
    /// none is named there are no groups: anybody makes an organization of any name at GitHub.
    fn allowed(&self, mut groups: Groups) -> Result<Groups> {
        let allowed = &self.settings.organizations;
        if allowed.is_empty() {
            groups.names.clear();
            return Ok(groups);
        }
        if !groups.organizations.iter().any(|member| allowed.contains(member)) {
            let text = "you are a member of none of the organizations on GitHub that may sign in \
                        here; if you are, let the application see the organization";
            return Err(Error::caller(code::IDENTITY006, text));
        }
        groups.names.retain(|name| {
            let organization = name.split('/').next().unwrap_or_default();
            allowed.contains(&organization.to_ascii_lowercase())
        });
        Ok(groups)
    }
}

#[async_trait]
impl IdentityProvider for Github {
    fn name(&self) -> &str {
        &self.name
    }

    fn methods(&self) -> Methods {
        let browser = self.secret.is_some();
        Methods { browser, device: true, refresh: true, ..Methods::default() }
    }

    async fn health(&self) -> Health {
        let asked = async {
            let url = self.http.url(&format!("{}/meta", self.settings.api))?;
            self.http.send(self.http.client.get(url)).await
        };
        match asked.await {
            Ok(reply) if reply.status.is_success() => {
                Health { ok: true, message: format!("{} answers", self.settings.api) }
            }
            Ok(reply) => Health { ok: false, message: format!("it answers {}", reply.status) },
            Err(error) => Health { ok: false, message: error.to_string() },
        }
    }

    async fn start(&self, start: Start) -> Result<Started> {
        self.secret()?;
        let mut url = self.http.url(&format!("{}/login/oauth/authorize", self.settings.url))?;
        let mut pending = browser::begin(&self.name, start.redirect_url);
        pending.nonce = SecretText::default();
        browser::ask(&mut url, &self.settings.client_id, &self.settings.scopes, &pending);
        if let Some(hint) = &start.login_hint {
            url.query_pairs_mut().append_pair("login", hint);
        }
        if start.again {
            url.query_pairs_mut().append_pair("prompt", "select_account");
        }
        Ok(Started { url: url.into(), pending })
    }

    async fn finish(&self, pending: Pending, answer: Answer) -> Result<SignedIn> {
        let secret = self.secret()?;
        let form = [
            ("code", browser::code_of(&self.name, &pending, &answer)?),
            ("redirect_uri", &pending.redirect_url),
            ("code_verifier", pending.verifier.reveal()),
            ("client_secret", secret.reveal()),
        ];
        let tokens = self.tokens(&form).await.map_err(Error::from)?;
        self.signed_in(tokens).await
    }

    async fn device_start(&self) -> Result<DeviceStarted> {
        let url = self.http.url(&format!("{}/login/device/code", self.settings.url))?;
        let form = [("client_id", &*self.settings.client_id), ("scope", &*self.settings.scopes)];
        let request = self.http.client.post(url).header("accept", "application/json");
        let reply = self.http.send(request.form(&form)).await?;
        if let Ok(Tokens { error: Some(error), error_description, .. }) = reply.json("code") {
            return Err(refusal(&error, error_description.as_deref()));
        }
        reply.json::<DeviceAnswer>("device code")?.started(&self.name, &self.http)
    }

    async fn device_poll(&self, pending: &DevicePending) -> Result<DevicePoll> {
        browser::check_device(&self.name, pending)?;
        let form = [("grant_type", DEVICE), ("device_code", pending.device_code.reveal())];
        match self.tokens(&form).await {
            Ok(tokens) => Ok(DevicePoll::SignedIn(Box::new(self.signed_in(tokens).await?))),
            Err(Waiting::Pending) => Ok(DevicePoll::Waiting { slower: false }),
            Err(Waiting::SlowDown) => Ok(DevicePoll::Waiting { slower: true }),
            Err(Waiting::No(error)) => Err(error),
        }
    }

    async fn refresh(&self, refresh: Refresh) -> Result<SignedIn> {
        let kept = refresh.token.unwrap_or_default();
        let person = if let Some(access) = kept.reveal().strip_prefix(BY_ACCESS) {
            let mut person = self.person(&SecretText::new(access)).await?;
            person.refresh = Some(kept);
            person
        } else if let Some(token) = kept.reveal().strip_prefix(BY_REFRESH) {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_secret", self.secret()?.reveal()),
            ];
            let tokens = self.tokens(&form).await.map_err(Error::from)?;
            self.signed_in(tokens).await?
        } else {
            return Err(over("there is nothing to refresh by"));
        };
        match person.subject == refresh.subject {
            true => Ok(person),
            false => {
                let text = "GitHub's refreshed token is somebody else's";
                Err(Error::backend(code::IDENTITY004, Retry::Never, text))
            }
        }
    }
}

/// Only a device waits: elsewhere it is a refusal like others.
impl From<Waiting> for Error {
    fn from(waiting: Waiting) -> Self {
        match waiting {
            Waiting::No(error) => error,
            Waiting::Pending => refusal("authorization_pending", None),
            Waiting::SlowDown => refusal("slow_down", None),
        }
    }
}

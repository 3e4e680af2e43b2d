//! OpenID Connect: any provider that is found by its discovery document. Verifies also tokens that
//! an issuer gives to programs, with the same care.

mod discovery;
mod grant;
mod keys;
mod person;
mod settings;
mod token;

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_driver::identity::{
    Answer, DevicePending, DevicePoll, DeviceStarted, IdentityProvider, IdentityType, Logout,
    Methods, Pending, Refresh, SecretText, SignedIn, Start, Started,
};
use dispatch_driver::{Config, Error, Health, Result, Retry, Setting};
use dispatch_model::code;
use reqwest::Url;
use serde_json::{Map, Value};

use super::browser::{self, DeviceAnswer};
use super::http::Http;
use super::over;
use discovery::{Discovery, Metadata};
use grant::{Client, Refused, Tokens};
use keys::Keys;
use settings::Settings;
use token::{Bad, Expected, Token};

const CODE: &str = "authorization_code";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Makes OpenID Connect providers.
pub struct OidcType;

impl IdentityType for OidcType {
    fn name(&self) -> &'static str {
        "oidc"
    }

    fn about(&self) -> &'static str {
        "any OpenID Connect provider: Keycloak, Entra ID, AD FS, Okta, Google, Dex, GitLab"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::SETTINGS
    }

    fn make(&self, config: Config) -> Result<Arc<dyn IdentityProvider>> {
        let settings = Settings::read(&config)?;
        let client = settings.client_id.clone().map(|id| Client {
            id,
            secret: config.text("clientSecret").map(SecretText::new),
            authentication: settings.client_authentication,
        });
        Ok(Arc::new(Oidc {
            http: Http::new(&settings.issuer, config.text("caFile"), settings.timeout)?,
            keys: Keys::new(settings.keys_interval),
            name: config.name,
            client,
            settings,
            discovery: Discovery::default(),
        }))
    }
}

struct Oidc {
    name: String,
    http: Http,
    settings: Settings,
    client: Option<Client>,
    discovery: Discovery,
    keys: Keys,
}

impl Oidc {
    async fn metadata(&self) -> Result<Metadata> {
        self.discovery.get(&self.http, &self.settings.issuer).await
    }

    fn client(&self) -> Result<&Client> {
        self.client.as_ref().ok_or_else(|| self.lacks("sign-in, as settings.clientId is not set"))
    }

    async fn verify(
        &self,
        metadata: &Metadata,
        token: &str,
        audience: &str,
    ) -> std::result::Result<Token, Bad> {
        let (issuer, skew) = (self.settings.issuer.as_str(), self.settings.skew);
        let expected = Expected { issuer, audience, skew };
        token::verify(&self.http, &self.keys, &metadata.keys, token, &expected).await
    }

    /// The claims of an ID token that came with an access token.
    async fn id_token(
        &self,
        metadata: &Metadata,
        tokens: &Tokens,
        nonce: Option<&str>,
    ) -> Result<Map<String, Value>> {
        let client = self.client()?;
        let Some(id_token) = &tokens.id_token else {
            return Err(distrusted("its answer has no ID token"));
        };
        let checked = async {
            let token = self.verify(metadata, id_token.reveal(), &client.id).await?;
            token.check_client(&client.id)?;
            if let Some(nonce) = nonce {
                token.check_nonce(nonce)?;
            }
            token.check_access_token(tokens.access_token.reveal())?;
            Ok(token.claims)
        };
        checked.await.map_err(|bad| match bad {
            Bad::Token(why) => distrusted(&format!("its ID token is not good: {why}")),
            Bad::Error(error) => error,
        })
    }

    /// Adds what userinfo says to claims that lack something. A token's own words stand.
    async fn complete(
        &self,
        metadata: &Metadata,
        tokens: &Tokens,
        claims: &mut Map<String, Value>,
    ) -> Result<()> {
        let access_token = tokens.access_token.reveal();
        let Some(url) = &metadata.userinfo else { return Ok(()) };
        if access_token.is_empty() || !person::is_incomplete(claims, &self.settings) {
            return Ok(());
        }
        let request = self.http.client.get(url.clone()).bearer_auth(access_token);
        let reply = self.http.send(request.header("accept", "application/json")).await?;
        if !reply.status.is_success() {
            return Err(over(&format!("the provider answers {} for userinfo", reply.status)));
        }
        let told: Map<String, Value> = reply.json("userinfo")?;
        if told.get("sub") != claims.get("sub") {
            return Err(distrusted("its userinfo is about somebody else"));
        }
        for (claim, value) in told {
            claims.entry(claim).or_insert(value);
        }
        Ok(())
    }

    async fn signed_in(
        &self,
        metadata: &Metadata,
        tokens: Tokens,
        nonce: Option<&str>,
    ) -> Result<SignedIn> {
        let claims = self.id_token(metadata, &tokens, nonce).await?;
        self.with_userinfo(metadata, tokens, claims).await
    }

    async fn with_userinfo(
        &self,
        metadata: &Metadata,
        tokens: Tokens,
        mut claims: Map<String, Value>,
    ) -> Result<SignedIn> {
        self.complete(metadata, &tokens, &mut claims).await?;
        let mut person = person::signed_in(claims, &self.settings)?;
        person.refresh = tokens.refresh_token;
        person.id_token = tokens.id_token;
        Ok(person)
    }

    /// Who refreshed tokens are about. An ID token need not be among them (OpenID Connect Core,
    /// 12.2); then userinfo has to tell.
    async fn refreshed(
        &self,
        metadata: &Metadata,
        tokens: Tokens,
        subject: &str,
    ) -> Result<SignedIn> {
        if tokens.id_token.is_some() || metadata.userinfo.is_none() {
            return self.signed_in(metadata, tokens, None).await;
        }
        if tokens.access_token.reveal().is_empty() {
            return Err(distrusted("its answer has no token"));
        }
        let claims = Map::from_iter([("sub".to_owned(), Value::from(subject))]);
        self.with_userinfo(metadata, tokens, claims).await
    }

    /// RFC 9207: an answer of another provider is told by its name.
    fn check_issuer(&self, metadata: &Metadata, answer: &Answer) -> Result<()> {
        match &answer.iss {
            Some(issuer) if *issuer == self.settings.issuer => Ok(()),
            None if !metadata.names_issuer => Ok(()),
            _ => Err(over("the answer is of another issuer")),
        }
    }

    fn endpoint<'a>(&self, url: &'a Option<Url>, flow: &str) -> Result<&'a Url> {
        url.as_ref().ok_or_else(|| self.lacks(flow))
    }
}

#[async_trait]
impl IdentityProvider for Oidc {
    fn name(&self) -> &str {
        &self.name
    }

    /// What the driver has; whether a provider has a device flow shows when it is begun.
    fn methods(&self) -> Methods {
        let client = self.client.is_some();
        Methods {
            browser: client,
            device: client,
            password: false,
            refresh: client,
            logout: client,
            token: true,
        }
    }

    async fn health(&self) -> Health {
        match self.metadata().await {
            Ok(_) => Health { ok: true, message: format!("{} answers", self.settings.issuer) },
            Err(error) => Health { ok: false, message: error.to_string() },
        }
    }

    async fn start(&self, start: Start) -> Result<Started> {
        let (client, metadata) = (self.client()?, self.metadata().await?);
        let mut url = self.endpoint(&metadata.authorization, "sign-in by browser")?.clone();
        let pending = browser::begin(&self.name, start.redirect_url);
        browser::ask(&mut url, &client.id, &self.settings.scopes, &pending);
        let mut query = url.query_pairs_mut();
        query.append_pair("nonce", pending.nonce.reveal());
        if let Some(hint) = &start.login_hint {
            query.append_pair("login_hint", hint);
        }
        // Providers give no refresh token without consent (OpenID Connect Core, 11).
        let offline = self.settings.scopes.split(' ').any(|scope| scope == "offline_access");
        let prompts = [("login", start.again), ("consent", offline)];
        let prompts = prompts.into_iter().filter_map(|(prompt, wanted)| wanted.then_some(prompt));
        match prompts.collect::<Vec<_>>().join(" ") {
            none if none.is_empty() => {}
            prompts => drop(query.append_pair("prompt", &prompts)),
        }
        drop(query);
        Ok(Started { url: url.into(), pending })
    }

    async fn finish(&self, pending: Pending, answer: Answer) -> Result<SignedIn> {
        let (client, metadata) = (self.client()?, self.metadata().await?);
        self.check_issuer(&metadata, &answer)?;
        let code = browser::code_of(&self.name, &pending, &answer)?;
        let url = self.endpoint(&metadata.token, "sign-in by browser")?;
        let form = [
            ("grant_type", CODE),
            ("code", code),
            ("redirect_uri", &pending.redirect_url),
            ("code_verifier", pending.verifier.reveal()),
        ];
        let tokens = client.tokens(&self.http, url, metadata.wants_post, &form).await?;
        self.signed_in(&metadata, tokens, Some(pending.nonce.reveal())).await
    }

    async fn device_start(&self) -> Result<DeviceStarted> {
        let (client, metadata) = (self.client()?, self.metadata().await?);
        let url = self.endpoint(&metadata.device, "sign-in by device code")?;
        let form = [("scope", self.settings.scopes.as_str())];
        let request = client.request(&self.http, url, metadata.wants_post, &form);
        let reply = self.http.send(request).await?;
        if !reply.status.is_success() {
            let text = format!("the provider answers {} for a device's code", reply.status);
            return Err(Error::backend(code::IDENTITY003, Retry::Never, text));
        }
        reply.json::<DeviceAnswer>("device code")?.started(&self.name, &self.http)
    }

    async fn device_poll(&self, pending: &DevicePending) -> Result<DevicePoll> {
        browser::check_device(&self.name, pending)?;
        let (client, metadata) = (self.client()?, self.metadata().await?);
        let url = self.endpoint(&metadata.token, "sign-in by device code")?;
        let form = [("grant_type", DEVICE), ("device_code", pending.device_code.reveal())];
        match client.tokens(&self.http, url, metadata.wants_post, &form).await {
            Ok(tokens) => {
                let person = self.signed_in(&metadata, tokens, None).await?;
                Ok(DevicePoll::SignedIn(Box::new(person)))
            }
            Err(Refused::Named(error, _)) if error == "authorization_pending" => {
                Ok(DevicePoll::Waiting { slower: false })
            }
            Err(Refused::Named(error, _)) if error == "slow_down" => {
                Ok(DevicePoll::Waiting { slower: true })
            }
            Err(refused) => Err(refused.into()),
        }
    }

    async fn refresh(&self, refresh: Refresh) -> Result<SignedIn> {
        let (client, metadata) = (self.client()?, self.metadata().await?);
        let Some(old) = refresh.token else {
            return Err(over("the provider gave nothing to refresh by"));
        };
        let url = self.endpoint(&metadata.token, "refreshing")?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", old.reveal())];
        let mut tokens = client.tokens(&self.http, url, metadata.wants_post, &form).await?;
        // A provider that does not replace it means it to be used again (RFC 6749, 6).
        tokens.refresh_token.get_or_insert(old);
        let person = self.refreshed(&metadata, tokens, &refresh.subject).await?;
        match person.subject == refresh.subject {
            true => Ok(person),
            false => Err(distrusted("its refreshed tokens are somebody else's")),
        }
    }

    async fn logout_url(&self, logout: Logout) -> Result<Option<String>> {
        let (client, metadata) = (self.client()?, self.metadata().await?);
        let Some(mut url) = metadata.end_session else { return Ok(None) };
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", &client.id);
        if let Some(id_token) = &logout.id_token {
            query.append_pair("id_token_hint", id_token.reveal());
        }
        if let Some(back) = &logout.redirect_url {
            query.append_pair("post_logout_redirect_uri", back);
        }
        if let Some(state) = &logout.state {
            query.append_pair("state", state);
        }
        drop(query);
        Ok(Some(url.into()))
    }

    async fn verify_token(&self, token: &str, audience: &str) -> Result<SignedIn> {
        let metadata = self.metadata().await?;
        let verified = self.verify(&metadata, token, audience).await.map_err(|bad| match bad {
            Bad::Token(why) => Error::caller(code::IDENTITY009, format!("the token: {why}")),
            Bad::Error(error) => error,
        })?;
        person::signed_in(verified.claims, &self.settings)
    }
}

fn distrusted(why: &str) -> Error {
    let text = format!("the identity provider is not trusted: {why}");
    Error::backend(code::IDENTITY004, Retry::Never, text)
}

//! Who calls: service accounts by signed tokens, whoever holds a session by its token or its
//! cookie, the bootstrap user (of the configuration, or by a key that took the place of the
//! one-time credential), or the user of this machine.
//!
//! Local mode: while the API listens on loopback only, `auth.mode` is `auto` and there has never
//! been a policy, requests without a token are the local administrator's. It ends with the first
//! policy and does not come back with the end of the last. Browsers are kept out of it: the Host
//! must be this machine, and no other site may be behind the request. A token
//! that does not check out is never taken for the local user.

mod address;
mod bootstrap;
pub mod cookie;
mod key;
mod keys;
mod local;
pub mod one_time;
pub mod session_token;
pub mod sessions;
mod token;

pub use bootstrap::Bootstrap;
pub use key::check as check_public_key;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dispatch_model::OrgName;
use dispatch_model::organization::DEFAULT_ORGANIZATION;
use dispatch_model::service_account::Trust;
use dispatch_model::session::Holder;
use dispatch_store::Store;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use uuid::Uuid;

use crate::app::caller::Token;
use crate::app::{Caller, Error, Principal, Result};
use crate::authz::Authorizer;
use address::Proxies;
use key::PublicKey;
use keys::Keys;
use one_time::OneTime;
use session_token::Mint;
use sessions::Sessions;

/// The header that names the organization a request is for.
pub const ORGANIZATION_HEADER: &str = "x-dispatch-org";
const ORGANIZATION: HeaderName = HeaderName::from_static(ORGANIZATION_HEADER);

/// Whether callers must sign in: `auth.mode` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Not as long as the API is on loopback and there has been no policy.
    #[default]
    Auto,
    Required,
}

/// The `[auth]` part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub mode: Mode,
    /// Longest time from a token's `iat` to its `exp`, in seconds.
    pub max_token_lifetime_s: u64,
    /// Whom tokens must be for, if they say.
    pub audience: String,
    /// Whether they must say.
    pub require_audience: bool,
    /// A file with the identity providers; none when empty.
    pub providers_file: PathBuf,
    /// Where browsers reach the API: `https://HOST`. Empty: where it listens.
    pub public_url: String,
    /// Longest life of a session, in seconds.
    pub session_s: u64,
    /// How often a session's provider is asked whether it still vouches for its holder.
    pub confirm_s: u64,
    /// How long a session holds without that; also the longest life of one that nobody can be asked
    /// about.
    pub unconfirmed_s: u64,
    /// Addresses and ranges of proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<String>,
}

/// Shortest time between two questions to a provider about one session.
const LEAST_CONFIRM_S: u64 = 10;

impl Settings {
    /// # Errors
    /// The setting that cannot be.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.session_s == 0 || self.unconfirmed_s == 0 {
            anyhow::bail!("auth.session_s and auth.unconfirmed_s must be 1 or more");
        }
        if self.confirm_s < LEAST_CONFIRM_S || self.confirm_s > self.unconfirmed_s {
            anyhow::bail!("auth.confirm_s must be {LEAST_CONFIRM_S} to auth.unconfirmed_s");
        }
        let url = &self.public_url;
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if !url.is_empty()
            && !host
                .is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
        {
            anyhow::bail!(
                "auth.public_url {url:?} must be https://HOST or https://HOST:PORT, without a path"
            );
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            max_token_lifetime_s: 86_400,
            audience: "dispatch".to_owned(),
            require_audience: false,
            providers_file: PathBuf::new(),
            public_url: String::new(),
            session_s: 43_200,
            confirm_s: 600,
            unconfirmed_s: 3_600,
            proxies: Vec::new(),
        }
    }
}

/// Authenticates requests. Reads take no lock; [`Authn::reload`] swaps the keys whole.
pub struct Authn {
    settings: Settings,
    authorizer: Arc<Authorizer>,
    known: ArcSwap<Known>,
    /// One reload at a time: an older reading must not land on a newer one.
    reloading: tokio::sync::Mutex<()>,
    bootstrap: Option<Bootstrap>,
    pub sessions: Sessions,
    proxies: Proxies,
    on_loopback: bool,
    /// Where browsers reach the API, without a slash at its end.
    public_url: String,
}

/// Whose tokens can be proven.
struct Known {
    keys: Keys,
    one_time: Option<OneTime>,
}

impl Known {
    async fn read(store: &Store) -> anyhow::Result<Self> {
        Ok(Self { keys: Keys::read(store).await?, one_time: OneTime::read(store).await? })
    }
}

impl Authn {
    pub async fn load(
        store: &Store,
        authorizer: Arc<Authorizer>,
        settings: Settings,
        bootstrap: Option<Bootstrap>,
        mint: Mint,
        api: SocketAddr,
    ) -> anyhow::Result<Arc<Self>> {
        let known = ArcSwap::from_pointee(Known::read(store).await?);
        let on_loopback = api.ip().is_loopback();
        let sessions = Sessions::load(store, mint, settings.unconfirmed_s).await?;
        let proxies = Proxies::parse(&settings.proxies)?;
        let public_url = match settings.public_url.as_str() {
            "" => format!("http://{api}"),
            given => given.to_owned(),
        };
        Ok(Arc::new(Self {
            settings,
            authorizer,
            known,
            reloading: tokio::sync::Mutex::default(),
            bootstrap,
            sessions,
            proxies,
            on_loopback,
            public_url,
        }))
    }

    /// Reads all keys again.
    pub async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let _one = self.reloading.lock().await;
        self.known.store(Arc::new(Known::read(store).await?));
        Ok(())
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where browsers reach the API: `https://HOST`.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The address a request comes from.
    pub fn address(&self, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
        self.proxies.client(headers, peer)
    }

    /// A service account that trusts tokens, by `ORG/NAME`: its id, and whom it trusts.
    pub fn trusting(&self, account: &str) -> Option<(Uuid, Vec<Trust>)> {
        let known = self.known.load();
        let account = known.keys.get(account)?;
        Some((account.id, account.trust.clone()))
    }

    /// Whether the user of this machine needs no credentials now.
    pub fn is_local_mode(&self) -> bool {
        // Whoever comes through a proxy comes from this machine, if that is on it.
        let direct = self.settings.proxies.is_empty() && self.settings.public_url.is_empty();
        self.settings.mode == Mode::Auto
            && self.on_loopback
            && direct
            && !self.authorizer.was_configured()
    }

    pub fn has_bootstrap_user(&self) -> bool {
        self.bootstrap.is_some()
    }

    /// Whether anybody at all could sign in.
    pub fn can_sign_in(&self) -> bool {
        self.is_local_mode() || self.bootstrap.is_some() || !self.known.load().keys.is_empty()
    }

    /// Whether the installation is new, and the one-time credential is the way into it. On an
    /// address others can reach there is none: whoever is first would have the installation.
    pub fn takes_one_time(&self) -> bool {
        self.on_loopback && self.bootstrap.is_none() && !self.authorizer.was_configured()
    }

    /// Who sent a request with these headers, and for which organization.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], or [`Error::Invalid`] for a bad organization header.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        method: &Method,
        peer: SocketAddr,
        request_id: Arc<str>,
    ) -> Result<Caller> {
        let token = self.token(headers, method)?;
        let asked = asked(headers);
        // Who calls is said first: what is wrong with the rest is not for everybody.
        let org = asked.as_ref().ok().and_then(Option::as_ref);
        let (principal, groups) = match token {
            Some(token) => self.proven(token, org)?,
            None => (self.local(headers, peer)?, Vec::new()),
        };
        let org = asked?.unwrap_or_else(|| home(&principal));
        let from = Some(self.address(headers, peer));
        Ok(Caller { org, principal, groups, from, token: token.map(Token::new), request_id })
    }

    /// What a request signs in with: a bearer token, or else a cookie.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for credentials of another form, and for a cookie that another
    /// web site may have made a browser send.
    pub fn token<'a>(&self, headers: &'a HeaderMap, method: &Method) -> Result<Option<&'a str>> {
        if let Some(token) = bearer(headers)? {
            return Ok(Some(token));
        }
        // Only the one that no neighbouring host can set, where there is that.
        let cookie = cookie::value(headers, cookie::name(&self.public_url));
        let cookie = cookie.map_err(|why| refused(&why))?;
        if cookie.is_some() {
            cookie::check_site(headers, method, &self.public_url).map_err(refused)?;
        }
        Ok(cookie)
    }

    /// Looks up a session that another server may have begun just now.
    pub async fn meet(&self, store: &Store, headers: &HeaderMap, method: &Method) -> Result<()> {
        if store.is_sqlite() {
            return Ok(());
        }
        let Ok(Some(token)) = self.token(headers, method) else { return Ok(()) };
        if let Some(id) = self.sessions.may_be_new(token)
            && let Some(session) = store.by_id(id).await?
        {
            self.sessions.put(session);
        }
        Ok(())
    }

    /// Whether a caller of before would be let in again as the same.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`]: the account or its key is gone, or the token has expired.
    pub fn confirm(&self, caller: &Caller) -> Result<()> {
        let now = match &caller.token {
            Some(token) => self.proven(token.text(), Some(&caller.org))?,
            None => (self.local_admin()?, Vec::new()),
        };
        if now.0 == caller.principal && now.1 == caller.groups {
            Ok(())
        } else {
            Err(refused("the account is another one now"))
        }
    }

    /// Who holds a token, in a request for an organization, and in which groups.
    fn proven(&self, token: &str, org: Option<&OrgName>) -> Result<(Principal, Vec<String>)> {
        if !token.starts_with(session_token::PREFIX) {
            return Ok((self.signer_of(token)?, Vec::new()));
        }
        let session = self.sessions.find(token).map_err(refused)?;
        let (principal, groups) = sessions::principal(&session, org);
        if let Holder::ServiceAccount { name, id } = &session.spec.holder {
            let known = self.known.load();
            let account = known.keys.get(&format!("{}/{name}", session.meta.org));
            // Who has its name now may be another.
            if account.is_none_or(|account| account.id != *id) {
                return Err(refused(sessions::OVER));
            }
        }
        Ok((principal, groups))
    }

    fn signer_of(&self, token: &str) -> Result<Principal> {
        let issuer = token::issuer(token).ok_or_else(|| refused("the token is not a JWT"))?;
        token::refuse_critical(token).map_err(|why| refused(&why))?;
        let verify = |key: &PublicKey| {
            token::verify(token, key, &self.settings).map_err(|why| refused(&why))
        };
        if let Some(bootstrap) = self.bootstrap.as_ref().filter(|b| b.name == issuer) {
            verify(&bootstrap.key)?;
            return Ok(Principal::Bootstrap { name: issuer });
        }
        let known = self.known.load();
        if issuer == one_time::ISSUER
            && let Some(one_time) = known.one_time.as_ref().filter(|known| !known.has_expired())
        {
            verify(&one_time.key)?;
            return Ok(Principal::Bootstrap { name: issuer });
        }
        let account = known.keys.get(&issuer).ok_or_else(|| refused(token::WRONG))?;
        verify(account.key.as_ref().ok_or_else(|| refused(token::WRONG))?)?;
        Ok(Principal::ServiceAccount { org: account.org.clone(), name: account.name.clone() })
    }

    fn local(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Principal> {
        let admin = self.local_admin()?;
        local::check(headers, peer).map_err(refused)?;
        Ok(admin)
    }

    fn local_admin(&self) -> Result<Principal> {
        if self.is_local_mode() {
            return Ok(Principal::LocalAdmin);
        }
        Err(refused("sign in with `dispatch login`, or send a bearer token"))
    }
}

fn home(principal: &Principal) -> OrgName {
    let home = principal.home().cloned();
    home.unwrap_or_else(|| OrgName::trusted(DEFAULT_ORGANIZATION))
}

/// The organization a request says it is for.
fn asked(headers: &HeaderMap) -> Result<Option<OrgName>> {
    let Some(value) = single(headers, &ORGANIZATION)?.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("\u{fffd}");
    let name = OrgName::new(text).map_err(|mut violation| {
        violation.field = "X-Dispatch-Org".to_owned();
        violation
    })?;
    Ok(Some(name))
}

/// The bearer token of a request.
///
/// # Errors
/// [`Error::Unauthenticated`] for credentials of another form.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = single(headers, &AUTHORIZATION)? else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(refused("the Authorization header must be `Bearer TOKEN`")),
    }
}

/// A header that a request has once. Of two, one may be a proxy's and the other the caller's: which
/// would hold must not depend on their order.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(refused(&format!("the header {name} is there more than once"))),
    }
}

fn refused(why: &str) -> Error {
    Error::Unauthenticated { message: why.to_owned() }
}

#[cfg(test)]
mod tests;

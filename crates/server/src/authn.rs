//! Who calls: service accounts by signed tokens, the bootstrap user (of the configuration, or by a
//! key that took the place of the one-time credential), or the user of this machine.
//!
//! Local mode: while the API listens on loopback only, `auth.mode` is `auto` and there has never
//! been a policy, requests without a token are the local administrator's. It ends with the first
//! policy and does not come back with the end of the last. Browsers are kept out of it: the Host
//! must be this machine, and no other site may be behind the request. A token
//! that does not check out is never taken for the local user.

mod bootstrap;
mod key;
mod keys;
mod local;
pub mod one_time;
mod token;

pub use bootstrap::Bootstrap;
pub use key::check as check_public_key;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dispatch_model::OrgName;
use dispatch_model::organization::DEFAULT_ORGANIZATION;
use dispatch_store::Store;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::app::caller::Token;
use crate::app::{Caller, Error, Principal, Result};
use crate::authz::Authorizer;
use key::PublicKey;
use keys::Keys;
use one_time::OneTime;

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            max_token_lifetime_s: 86_400,
            audience: "dispatch".to_owned(),
            require_audience: false,
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
    on_loopback: bool,
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
        api: SocketAddr,
    ) -> anyhow::Result<Arc<Self>> {
        let known = ArcSwap::from_pointee(Known::read(store).await?);
        let on_loopback = api.ip().is_loopback();
        let reloading = tokio::sync::Mutex::default();
        Ok(Arc::new(Self { settings, authorizer, known, reloading, bootstrap, on_loopback }))
    }

    /// Reads all keys again.
    pub async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let _one = self.reloading.lock().await;
        self.known.store(Arc::new(Known::read(store).await?));
        Ok(())
    }

    /// Whether the user of this machine needs no credentials now.
    pub fn is_local_mode(&self) -> bool {
        self.settings.mode == Mode::Auto && self.on_loopback && !self.authorizer.was_configured()
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
        peer: SocketAddr,
        request_id: Arc<str>,
    ) -> Result<Caller> {
        let token = bearer(headers)?;
        let principal = match token {
            Some(token) => self.principal_of(token)?,
            None => self.local(headers, peer)?,
        };
        let org = match single(headers, &ORGANIZATION)?.filter(|value| !value.is_empty()) {
            Some(value) => {
                let text = value.to_str().unwrap_or("\u{fffd}");
                OrgName::new(text).map_err(|mut violation| {
                    violation.field = "X-Dispatch-Org".to_owned();
                    violation
                })?
            }
            None => home(&principal),
        };
        let (groups, from) = (Vec::new(), Some(peer.ip().to_canonical()));
        Ok(Caller { org, principal, groups, from, token: token.map(Token::new), request_id })
    }

    /// Whether a caller of before would be let in again as the same.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`]: the account or its key is gone, or the token has expired.
    pub fn confirm(&self, caller: &Caller) -> Result<()> {
        let now = match &caller.token {
            Some(token) => self.principal_of(token.text())?,
            None => self.local_admin()?,
        };
        if now == caller.principal {
            Ok(())
        } else {
            Err(refused("the account is another one now"))
        }
    }

    fn principal_of(&self, token: &str) -> Result<Principal> {
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
        verify(&account.key)?;
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

//! Use cases of signing in. Each way ends in a session of somebody a provider vouches for and a
//! rule of this server lets in.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_driver::identity::{
    Answer, DevicePoll, DeviceStarted, PENDING_LIFE, SecretText, SignedIn, Start,
};
use dispatch_driver::{Error as DriverError, Fault};
use dispatch_model::resource::now_ms;
use dispatch_model::service_account::Trust;
use dispatch_model::session::SessionClient;
use dispatch_model::{Violation, code};
use dispatch_wire as wire;
use sha2::{Digest as _, Sha256};

use super::session::Began;
use super::{App, Error, Result};
use crate::signin::{Aim, Door, Entered, Handed, Opening, PendingBrowser, PendingDevice, Provider};

/// Where providers send browsers back to.
pub const CALLBACK: &str = "/v1/iam/oauth2/callback";
/// What sealed things are for.
const BROWSER: &str = "browser";
const DEVICE: &str = "device";
const CODE: &str = "code";
/// How long a command may take to fetch the session it was begun for.
const CODE_LIFE_MS: i64 = 60_000;
/// Longest name, password, code, verifier and token that is looked at, in bytes.
const MAX_TEXT: usize = 16 << 10;
/// The name under which the beginnings of device sign-ins are counted.
const ANY_DEVICE: &str = "(device)";

/// A sign-in by browser that was begun.
pub struct Begun {
    /// Where the browser is sent.
    pub url: String,
    /// What it brings back; sealed.
    pub sealed: String,
}

/// A sign-in by browser that ended well.
pub enum Finished {
    /// To a page of this server, with a session.
    Page { path: String, token: SecretText },
    /// To a command, with a code for its session.
    Command { redirect: String },
}

/// What a device hears.
pub enum Device {
    Waiting { slower: bool },
    Began(Box<Began>),
}

impl App {
    /// What one can sign in with here.
    pub fn identity_providers(&self) -> Vec<wire::IdentityProvider> {
        let one = |provider: &Arc<Provider>| {
            let methods = provider.driver.methods();
            wire::IdentityProvider {
                name: provider.name.clone(),
                provider_type: provider.type_name.to_owned(),
                title: provider.title.clone(),
                browser: methods.browser,
                device: methods.device,
                password: methods.password,
                token: methods.token,
            }
        };
        self.sign_ins.providers.iter().map(one).collect()
    }

    /// Begins a sign-in by browser.
    pub async fn sign_in_begin(&self, provider: &str, aim: Aim) -> Result<Begun> {
        let provider = self.provider(provider)?;
        let back = format!("{}{CALLBACK}", self.authn.public_url());
        let started = provider.driver.start(Start::new(back)).await;
        let started = started.map_err(|error| self.failed(provider, &error))?;
        let pending = PendingBrowser { pending: started.pending, aim };
        let sealed = self.sign_ins.key.seal(BROWSER, &pending).map_err(Error::internal)?;
        Ok(Begun { url: started.url, sealed })
    }

    /// Where a sign-in by browser was to lead, when it comes back.
    pub fn sign_in_aim(&self, sealed: &str) -> Option<Aim> {
        self.sign_ins.key.open::<PendingBrowser>(BROWSER, sealed).map(|pending| pending.aim)
    }

    /// Ends a sign-in by browser. What was sealed is good once.
    pub async fn sign_in_finish(
        &self,
        opening: Opening,
        sealed: &str,
        answer: Answer,
    ) -> Result<Finished> {
        let pending = self.sign_ins.key.open::<PendingBrowser>(BROWSER, sealed);
        let pending = pending.ok_or_else(|| over("the sign-in was begun in another browser"))?;
        // An answer to another question does not use this one up: any site can send one.
        if answer.state.as_deref() != Some(pending.pending.state.reveal()) {
            return Err(over("the answer belongs to another sign-in"));
        }
        let PendingBrowser { pending, aim } = pending;
        let provider = self.provider(&pending.provider)?;
        // First, so that one that is to wait can come back.
        let entered = self.enter(provider, Door::answer(opening.from))?;
        if !self.sign_ins.used.first(sealed) {
            return Err(over("the sign-in was finished before"));
        }
        let person = provider.driver.finish(pending, answer).await;
        let person = self.decided(provider, entered, person)?;
        self.arrived(opening, provider, &person, aim).await
    }

    /// The session of somebody who signed in with a browser, for whoever it was begun for.
    async fn arrived(
        &self,
        opening: Opening,
        provider: &Provider,
        person: &SignedIn,
        aim: Aim,
    ) -> Result<Finished> {
        let client = match &aim {
            Aim::Page { .. } => SessionClient::Browser,
            Aim::Command { .. } => SessionClient::CommandLine,
        };
        let opening = Opening { client, ..opening };
        let began = self.begin_session(opening, provider, person).await?;
        match aim {
            Aim::Page { path } => Ok(Finished::Page { path, token: began.token }),
            Aim::Command { redirect, state, challenge } => {
                let expires_ms = now_ms() + CODE_LIFE_MS;
                let handed = Handed { token: began.token, challenge, expires_ms };
                let code = self.sign_ins.key.seal(CODE, &handed).map_err(Error::internal)?;
                let pairs = [("code", code.as_str()), ("state", state.as_str())];
                Ok(Finished::Command { redirect: with_query(&redirect, &pairs)? })
            }
        }
    }

    /// Signs in with a name and a password that were typed in a page of this server.
    pub async fn sign_in_page(
        &self,
        opening: Opening,
        provider: &str,
        name: &str,
        password: &SecretText,
        aim: Aim,
    ) -> Result<Finished> {
        let provider = self.provider(provider)?;
        let person = self.bound(&opening, provider, name, password).await?;
        self.arrived(opening, provider, &person, aim).await
    }

    /// Signs in with what a request holds.
    pub async fn sign_in(&self, opening: Opening, shape: wire::SignIn) -> Result<Device> {
        let wire::SignIn {
            provider,
            username,
            password,
            code,
            verifier,
            device,
            service_account,
            token,
        } = shape;
        let given = [&username, &password, &code, &verifier, &device, &service_account, &token];
        if given.into_iter().flatten().any(|text| text.len() > MAX_TEXT) {
            let rule = format!("holds a text of more than {MAX_TEXT} bytes");
            return Err(Violation::new("body", rule).into());
        }
        match (username, password, code, verifier, device, service_account, token) {
            (Some(name), Some(password), None, None, None, None, None) => {
                let provider = provider.ok_or_else(|| Violation::new("provider", "is required"))?;
                let provider = self.provider(&provider)?;
                let password = SecretText::new(password);
                let person = self.bound(&opening, provider, &name, &password).await?;
                let began = self.begin_session(opening, provider, &person).await?;
                Ok(Device::Began(Box::new(began)))
            }
            (None, None, Some(code), Some(verifier), None, None, None) => {
                Ok(Device::Began(Box::new(self.sign_in_handed(&code, &verifier)?)))
            }
            (None, None, None, None, Some(device), None, None) => {
                self.sign_in_device(opening, &device).await
            }
            (None, None, None, None, None, Some(account), Some(token)) => {
                let began = self.sign_in_account(opening, &account, &token).await?;
                Ok(Device::Began(Box::new(began)))
            }
            _ => {
                let rule = "must hold one of: provider, username and password; code and verifier; \
                            device; serviceAccount and token";
                Err(Violation::new("body", rule).into())
            }
        }
    }

    async fn bound(
        &self,
        opening: &Opening,
        provider: &Provider,
        name: &str,
        password: &SecretText,
    ) -> Result<SignedIn> {
        let door = Door::password(opening.from, &provider.name, name);
        let entered = self.enter(provider, door)?;
        let bound = provider.driver.bind(name, password).await;
        self.decided(provider, entered, bound)
    }

    /// Hands a session over to the command it was begun for. The code is good once.
    fn sign_in_handed(&self, code: &str, verifier: &str) -> Result<Began> {
        let handed = self.sign_ins.key.open::<Handed>(CODE, code);
        let wrong = || over("the code is wrong, too old, or was used before");
        let handed = handed.filter(|handed| handed.expires_ms > now_ms()).ok_or_else(wrong)?;
        let shown = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        if !self.sign_ins.used.first(code) || shown != handed.challenge {
            return Err(wrong());
        }
        let session = self.authn.sessions.find(handed.token.reveal()).map_err(over)?;
        Ok(Began { token: handed.token, session: (*session).clone() })
    }

    /// Begins the sign-in of a device without a browser.
    pub async fn sign_in_device_begin(
        &self,
        opening: &Opening,
        provider: &str,
    ) -> Result<wire::DeviceCode> {
        let provider = self.provider(provider)?;
        // Each asks the provider for something, so that they are counted like failures.
        let door = Door::signed(opening.from, &provider.name, ANY_DEVICE);
        let entered = self.enter(provider, door)?;
        let started = provider.driver.device_start().await;
        let started = started.map_err(|error| {
            if error.fault != Fault::Caller {
                self.sign_ins.attempts.undecided(entered);
            }
            self.failed(provider, &error)
        })?;
        let DeviceStarted {
            user_code,
            verification_url,
            complete_url,
            expires_in,
            interval,
            pending,
        } = started;
        let sealed = PendingDevice { pending, interval_s: interval.as_secs() };
        let device = self.sign_ins.key.seal(DEVICE, &sealed);
        Ok(wire::DeviceCode {
            device: device.map_err(Error::internal)?,
            user_code,
            verification_url,
            verification_url_complete: complete_url,
            expires_in: expires_in.as_secs(),
            interval: interval.as_secs(),
        })
    }

    async fn sign_in_device(&self, opening: Opening, device: &str) -> Result<Device> {
        let pending = self.sign_ins.key.open::<PendingDevice>(DEVICE, device);
        let pending = pending.ok_or_else(|| over("the device's sign-in was not begun here"))?;
        let PendingDevice { pending, interval_s } = pending;
        let provider = self.provider(&pending.provider)?;
        // Providers throttle the whole client when one device asks too often.
        if !self.sign_ins.paced.may(device, Duration::from_secs(interval_s)) {
            return Ok(Device::Waiting { slower: false });
        }
        match provider.driver.device_poll(&pending).await {
            Ok(DevicePoll::Waiting { slower }) => Ok(Device::Waiting { slower }),
            Ok(DevicePoll::SignedIn(person)) => {
                // Providers give a device's tokens once; this holds it also where one does not.
                if !self.sign_ins.used.first(device) {
                    return Err(over("the sign-in was finished before"));
                }
                let from = opening.from;
                let began = self.begin_session(opening, provider, &person).await?;
                let door = Door::signed(from, &provider.name, ANY_DEVICE);
                self.sign_ins.attempts.forgive(door);
                Ok(Device::Began(Box::new(began)))
            }
            Err(error) => Err(self.failed(provider, &error)),
        }
    }

    /// Signs in as a service account, with a token of an issuer that it trusts.
    async fn sign_in_account(&self, opening: Opening, account: &str, token: &str) -> Result<Began> {
        // Whether there is such an account is nobody's business who cannot sign in as it.
        let wrong = || Error::Identity {
            code: code::IDENTITY009,
            message: format!(
                "the token is not one that signs in as {}: its issuer, its audience ({:?}), its \
                 life, or its claims do not fit what the account trusts",
                shown(account),
                self.authn.settings().audience
            ),
        };
        let door = Door::signed(opening.from, "(token)", account);
        let entered =
            self.sign_ins.attempts.enter(door).map_err(|wait| Error::Attempts { wait })?;
        let audience = &self.authn.settings().audience;
        let (id, trusted) = self.authn.trusting(account).unwrap_or_default();
        let mut undecided = None;
        for Trust { provider: name, claims } in trusted {
            let Some(provider) = self.sign_ins.providers.get(&name) else { continue };
            match provider.driver.verify_token(token, audience).await {
                Ok(person) if claims.fit(|claim| Provider::claim(&person, claim)) => {
                    self.sign_ins.attempts.succeeded(entered);
                    let account = (account, id);
                    return self.begin_account(opening, provider, &person, account).await;
                }
                Ok(_) => tracing::info!(provider = name, account, "a token's claims do not fit"),
                Err(error) if error.fault == Fault::Caller => {
                    tracing::info!(provider = name, account, %error, "a token was refused");
                }
                // Another that the account trusts may know the token.
                Err(error) => drop(undecided.get_or_insert((provider, error))),
            }
        }
        let Some((provider, error)) = undecided else { return Err(wrong()) };
        self.sign_ins.attempts.undecided(entered);
        Err(self.failed(provider, &error))
    }

    /// What a provider decided of a try that was counted.
    fn decided<T>(
        &self,
        provider: &Provider,
        entered: Entered,
        decided: dispatch_driver::Result<T>,
    ) -> Result<T> {
        match &decided {
            Ok(_) => self.sign_ins.attempts.succeeded(entered),
            Err(error) if error.fault == Fault::Caller => {}
            Err(_) => self.sign_ins.attempts.undecided(entered),
        }
        decided.map_err(|error| self.failed(provider, &error))
    }

    fn enter(&self, provider: &Provider, door: Door) -> Result<Entered> {
        self.sign_ins.attempts.enter(door).map_err(|wait| {
            self.sign_ins.metrics.ended(&provider.name, "limited");
            Error::Attempts { wait }
        })
    }

    pub(super) fn provider(&self, name: &str) -> Result<&Arc<Provider>> {
        self.sign_ins.providers.get(name).ok_or_else(|| {
            let known: Vec<&str> =
                self.sign_ins.providers.iter().map(|provider| provider.name.as_str()).collect();
            let rule = match known.is_empty() {
                true => "the server has none: see auth.providers_file".to_owned(),
                false => format!("{:?} is none of {}", shown(name), known.join(", ")),
            };
            Violation::new("provider", rule).into()
        })
    }

    /// An error of a provider, for whoever signs in.
    pub(super) fn failed(&self, provider: &Provider, error: &DriverError) -> Error {
        let (name, code) = (&provider.name, error.code);
        match error.fault {
            Fault::Caller => {
                self.sign_ins.metrics.ended(name, "refused");
                tracing::info!(provider = name, code, %error, "a sign-in was refused");
            }
            Fault::Backend | Fault::Ours => {
                self.sign_ins.metrics.ended(name, "failed");
                tracing::warn!(provider = name, code, %error, "a sign-in failed");
            }
        }
        Error::Identity { code, message: error.message.clone() }
    }
}

/// The error of a sign-in that cannot be finished any more.
fn over(why: &str) -> Error {
    Error::Identity { code: code::IDENTITY005, message: why.to_owned() }
}

/// A name that a caller gave, fit for a message.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// An address with more in its query.
pub fn with_query(url: &str, pairs: &[(&str, &str)]) -> Result<String> {
    let mut url = url::Url::parse(url).map_err(Error::internal)?;
    url.query_pairs_mut().extend_pairs(pairs);
    Ok(url.into())
}

/// How long the cookie of a sign-in that was begun is kept.
pub const BROWSER_LIFE: Duration = PENDING_LIFE;

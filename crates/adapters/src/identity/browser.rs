//! What sign-ins by browser and by device have in common: OAuth 2.0 with PKCE.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_driver::identity::{
    Answer, DevicePending, DeviceStarted, PENDING_LIFE, Pending, SecretText,
};
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use reqwest::Url;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::http::Http;
use super::over;

/// Randomness in a state, nonce or verifier: 256 bits, which nobody guesses.
const RANDOM_BYTES: usize = 32;
/// Longest code, in bytes.
const CODE_BYTES: usize = 4_096;
/// Longest words of a provider that are passed on, in characters.
const WORDS: usize = 200;
/// Between two polls where a provider names no time (RFC 8628, 3.2).
const INTERVAL_S: u64 = 5;
/// Longest life of a device's code that is believed.
const DEVICE_LIFE_S: u64 = 3_600;

pub fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is later than 1970").as_secs()
}

pub fn random() -> SecretText {
    let mut bytes = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    SecretText::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// A sign-in that begins now.
pub fn begin(provider: &str, redirect_url: String) -> Pending {
    let (state, nonce, verifier) = (random(), random(), random());
    let provider = provider.to_owned();
    Pending { provider, redirect_url, state, nonce, verifier, begun_s: now_s() }
}

/// What is sent in the verifier's place (RFC 7636, S256).
pub fn challenge(verifier: &SecretText) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal().as_bytes()))
}

/// The parameters that all have in the address a browser is sent to.
pub fn ask(url: &mut Url, client_id: &str, scopes: &str, pending: &Pending) {
    let mut query = url.query_pairs_mut();
    query.append_pair("response_type", "code").append_pair("client_id", client_id);
    query.append_pair("redirect_uri", &pending.redirect_url).append_pair("scope", scopes);
    query.append_pair("state", pending.state.reveal());
    query.append_pair("code_challenge", &challenge(&pending.verifier));
    query.append_pair("code_challenge_method", "S256");
}

/// The code of an answer that belongs to what was begun.
///
/// # Errors
/// `IDENTITY005` when it does not, or no more; `IDENTITY006` when the provider refused.
pub fn code_of<'a>(provider: &str, pending: &Pending, answer: &'a Answer) -> Result<&'a str> {
    let state = answer.state.as_deref().unwrap_or_default();
    let same = |a: &str, b: &str| verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok();
    if pending.provider != provider || !same(state, pending.state.reveal()) {
        return Err(over("the answer belongs to another sign-in"));
    }
    check_age(pending.begun_s, PENDING_LIFE.as_secs())?;
    if let Some(error) = &answer.error {
        return Err(refusal(error, answer.error_description.as_deref()));
    }
    let code = answer.code.as_ref().map(SecretText::reveal).unwrap_or_default();
    match (1..=CODE_BYTES).contains(&code.len()) {
        true => Ok(code),
        false => Err(over("the answer has no code")),
    }
}

fn check_age(begun_s: u64, life_s: u64) -> Result<()> {
    let now = now_s();
    match begun_s <= now && now - begun_s <= life_s {
        true => Ok(()),
        false => Err(over("the sign-in was begun too long ago")),
    }
}

/// What an error of the OAuth protocol means to who signs in.
pub fn refusal(error: &str, description: Option<&str>) -> Error {
    let words = match description.map(words).filter(|words| !words.is_empty()) {
        Some(described) => format!("{}: {described}", words(error)),
        None => words(error),
    };
    match error {
        "access_denied"
        | "consent_required"
        | "interaction_required"
        | "login_required"
        | "account_selection_required" => {
            Error::caller(code::IDENTITY006, format!("the provider refuses: {words}"))
        }
        "invalid_grant" | "bad_verification_code" | "bad_refresh_token" | "expired_token" => {
            over(&format!("the provider stands by it no more: {words}"))
        }
        "server_error" | "temporarily_unavailable" => {
            let retry = Retry::After(Duration::from_secs(1));
            Error::backend(code::IDENTITY002, retry, format!("the provider failed: {words}"))
        }
        _ => {
            let text = format!("the provider does not accept this server as its client: {words}");
            Error::backend(code::IDENTITY003, Retry::Never, text)
        }
    }
}

/// Words of somebody else, fit for a message.
pub fn words(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(WORDS).collect::<String>().trim().to_owned()
}

/// What a device is told (RFC 8628, 3.2).
#[derive(Deserialize)]
pub struct DeviceAnswer {
    device_code: SecretText,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

impl DeviceAnswer {
    /// # Errors
    /// When the person would be sent to an address that is none.
    pub fn started(self, provider: &str, http: &Http) -> Result<DeviceStarted> {
        let verification_url = http.url(&self.verification_uri)?.to_string();
        let complete = self.verification_uri_complete.as_deref();
        let complete_url = complete.map(|url| http.url(url)).transpose()?.map(String::from);
        let expires_in_s = self.expires_in.min(DEVICE_LIFE_S);
        Ok(DeviceStarted {
            user_code: words(&self.user_code),
            verification_url,
            complete_url,
            expires_in: Duration::from_secs(expires_in_s),
            interval: Duration::from_secs(self.interval.unwrap_or(INTERVAL_S).clamp(1, 60)),
            pending: DevicePending {
                provider: provider.to_owned(),
                device_code: self.device_code,
                begun_s: now_s(),
                expires_in_s,
            },
        })
    }
}

/// # Errors
/// `IDENTITY005` for a device's sign-in of another provider, or one that is over.
pub fn check_device(provider: &str, pending: &DevicePending) -> Result<()> {
    if pending.provider != provider {
        return Err(over("the device's sign-in belongs to another provider"));
    }
    check_age(pending.begun_s, pending.expires_in_s.min(DEVICE_LIFE_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(pending: &Pending) -> Answer {
        Answer {
            code: Some(SecretText::new("code")),
            state: Some(pending.state.reveal().to_owned()),
            ..Answer::default()
        }
    }

    #[test]
    fn only_the_answer_to_its_own_question_in_time_ends_a_sign_in() {
        let pending = begin("id", "https://d.example/back".to_owned());
        assert_eq!(code_of("id", &pending, &answer(&pending)).unwrap(), "code");
        let other = begin("id", "https://d.example/back".to_owned());
        let late = Pending { begun_s: now_s() - PENDING_LIFE.as_secs() - 1, ..pending.clone() };
        let early = Pending { begun_s: now_s() + 60, ..pending.clone() };
        let without = Answer { state: None, ..answer(&pending) };
        let huge =
            Answer { code: Some(SecretText::new("c".repeat(CODE_BYTES + 1))), ..answer(&pending) };
        for (name, pending, answer) in [
            ("id", &pending, answer(&other)),
            ("id", &pending, without),
            ("id", &pending, huge),
            ("other", &pending, answer(&pending)),
            ("id", &late, answer(&late)),
            ("id", &early, answer(&early)),
        ] {
            let error = code_of(name, pending, &answer).unwrap_err();
            assert_eq!(error.code, code::IDENTITY005, "{error}");
        }
    }

    #[test]
    fn a_providers_words_are_bounded_and_hold_no_line() {
        let error = refusal("access_denied", Some(&format!("no\nline{}", "x".repeat(1_000))));
        assert_eq!(error.code, code::IDENTITY006);
        assert!(error.message.len() < 300 && !error.message.contains('\n'), "{error}");
        assert_eq!(refusal("invalid_client", None).code, code::IDENTITY003);
        assert_eq!(refusal("server_error", None).code, code::IDENTITY002);
    }

    #[test]
    fn a_challenge_is_as_the_rfc_has_it() {
        let verifier = SecretText::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}

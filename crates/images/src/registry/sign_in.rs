//! Who we are, as a registry wants to be told (distribution's token authentication; RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::session::read;
use super::{Credentials, Reference, Registries, failure, reach};
use crate::{Error, Result};

/// Bytes of an answer with a token at most.
const MAX_ANSWER: u64 = 64 << 10;

/// What is to be done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Pull,
    Push,
    Delete,
}

impl Intent {
    fn actions(self) -> &'static str {
        match self {
            Intent::Pull => "pull",
            Intent::Push => "pull,push",
            // Deleting what is attached to an image writes the list of the rest.
            Intent::Delete => "pull,push,delete",
        }
    }
}

/// A token service's answer; older ones call it `access_token`.
#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "access_token")]
    token: String,
}

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Nothing,
    Password,
    Token { realm: String, service: Option<String> },
}

impl Registries {
    /// The `Authorization` header for a repository, if there has to be one.
    pub(super) async fn sign_in(
        &self,
        reference: &Reference,
        who: &Credentials,
        intent: Intent,
    ) -> Result<Option<String>> {
        let url = self.url(reference.host(), "");
        if let Some(why) = url.parse().ok().as_ref().and_then(reach::refused) {
            return Err(Error::refused(format!("registry {} {why}", reference.host())));
        }
        if let Credentials::Token(token) = who {
            return Ok(Some(format!("Bearer {token}")));
        }
        let asked = self.http.get(url).send().await;
        let asked = asked.map_err(|error| failure::transport(reference, &error))?;
        match challenge(asked.headers()) {
            Challenge::Token { realm, service } => {
                self.token(reference, who, intent, &realm, service.as_deref()).await.map(Some)
            }
            // Some ask only where there is something to protect.
            Challenge::Nothing | Challenge::Password => Ok(basic(who)),
        }
    }

    async fn token(
        &self,
        reference: &Reference,
        who: &Credentials,
        intent: Intent,
        realm: &str,
        service: Option<&str>,
    ) -> Result<String> {
        let host = reference.host();
        let realm: reqwest::Url = realm.parse().map_err(|_| {
            Error::refused(format!("registry {host} sends us to {realm:?} for a token"))
        })?;
        if let Some(why) = reach::refused(&realm) {
            return Err(Error::refused(format!(
                "registry {host} sends us for a token to what {why}"
            )));
        }
        // It gets our password.
        if !self.is_safe(&realm) {
            let text = format!("registry {host} sends us to {realm} for a token, without TLS");
            return Err(Error::refused(text));
        }
        let scope = format!("repository:{}:{}", reference.repository(), intent.actions());
        let mut request = self.http.get(realm).query(&[("scope", scope.as_str())]);
        if let Some(service) = service {
            request = request.query(&[("service", service)]);
        }
        if let Some(basic) = basic(who) {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request.send().await;
        let response = response.map_err(|error| failure::transport(reference, &error))?;
        match response.status() {
            status if status.is_success() => {}
            // Token services say no in several ways.
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                return Err(failure::status(reference, StatusCode::UNAUTHORIZED));
            }
            status => return Err(failure::status(reference, status)),
        }
        let answer = read(reference, response, MAX_ANSWER).await?;
        let wrong = |_| Error::refused(format!("registry {host}'s token service sends no token"));
        let Answer { token } = serde_json::from_slice(&answer).map_err(wrong)?;
        Ok(format!("Bearer {token}"))
    }
}

fn basic(who: &Credentials) -> Option<String> {
    match who {
        Credentials::Password { user, password } => {
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        }
        Credentials::Nobody | Credentials::Token(_) => None,
    }
}

/// A token, where there is a choice: it is for one repository only.
fn challenge(headers: &HeaderMap) -> Challenge {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut challenge = Challenge::Nothing;
    for text in texts {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = parameter(rest, "realm")
        {
            return Challenge::Token { realm, service: parameter(rest, "service") };
        }
        if scheme.eq_ignore_ascii_case("basic") {
            challenge = Challenge::Password;
        }
    }
    challenge
}

/// The value of `name="value"` in a list of them.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let here = before.trim_matches([' ', ',']);
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if here.eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().expect("a header"));
        }
        challenge(&headers)
    }

    #[test]
    fn what_a_registry_asks_for_is_read() {
        let token = |realm: &str, service: Option<&str>| Challenge::Token {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        };
        let full = r#"Bearer realm="https://a/t?x=1,2",service="r.example",scope="s:t:pull,push""#;
        assert_eq!(asked(&[full]), token("https://a/t?x=1,2", Some("r.example")));
        assert_eq!(asked(&["bearer Realm=https://a/t"]), token("https://a/t", None));
        assert_eq!(
            asked(&["Basic realm=\"r\"", full]),
            token("https://a/t?x=1,2", Some("r.example"))
        );
        assert_eq!(asked(&["Basic realm=\"r\""]), Challenge::Password);
        for nothing in ["", "Bearer", "Bearer realm=\"open", "Digest realm=\"r\"", "Bearer =,=\""] {
            assert_eq!(asked(&[nothing]), Challenge::Nothing, "{nothing}");
        }
    }
}

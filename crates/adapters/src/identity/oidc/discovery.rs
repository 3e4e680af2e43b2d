//! What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).

use std::time::{Duration, Instant};

use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::super::browser::words;
use super::super::http::Http;

/// How long it is believed.
const LIFE: Duration = Duration::from_secs(3_600);
/// How long a provider that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest list in it.
const LIST: usize = 100;

/// As it is sent.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// As it is used: every address in it may be called.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub keys: Url,
    pub authorization: Option<Url>,
    pub token: Option<Url>,
    pub userinfo: Option<Url>,
    pub device: Option<Url>,
    pub end_session: Option<Url>,
    /// Answers name who answers (RFC 9207).
    pub names_issuer: bool,
    /// The provider takes a client's secret in the body, and not in a header.
    pub wants_post: bool,
}

/// What was last heard: also that nothing could be heard, for a while, so that a provider that is
/// away costs each sign-in no wait of its own.
#[derive(Default)]
pub struct Discovery(Mutex<Option<(Instant, Result<Metadata>)>>);

impl Discovery {
    /// # Errors
    /// When the document cannot be had, is another issuer's, or leads astray.
    pub async fn get(&self, http: &Http, issuer: &str) -> Result<Metadata> {
        let mut known = self.0.lock().await;
        if let Some((since, heard)) = &*known
            && since.elapsed() < if heard.is_ok() { LIFE } else { PAUSE }
        {
            return heard.clone();
        }
        let heard = fetch(http, issuer).await;
        *known = Some((Instant::now(), heard.clone()));
        heard
    }
}

async fn fetch(http: &Http, issuer: &str) -> Result<Metadata> {
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document: Document = http.get(&http.url(&place)?, "discovery document").await?;
    if document.issuer != issuer {
        let text = format!(
            "the discovery document is of the issuer {:?}; settings.issuer is {issuer:?}",
            words(&document.issuer)
        );
        return Err(Error::backend(code::IDENTITY004, Retry::Never, text));
    }
    let url = |text: Option<String>| text.map(|text| http.url(&text)).transpose();
    let methods = document.token_endpoint_auth_methods_supported;
    let takes = |name: &str| methods.iter().take(LIST).any(|method| method == name);
    Ok(Metadata {
        keys: http.url(&document.jwks_uri)?,
        authorization: url(document.authorization_endpoint)?,
        token: url(document.token_endpoint)?,
        userinfo: url(document.userinfo_endpoint)?,
        device: url(document.device_authorization_endpoint)?,
        end_session: url(document.end_session_endpoint)?,
        names_issuer: document.authorization_response_iss_parameter_supported,
        wants_post: !takes("client_secret_basic") && takes("client_secret_post"),
    })
}

//! What the token endpoint gives, and for what (RFC 6749, RFC 8628).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_driver::identity::SecretText;
use dispatch_driver::{Error, Retry};
use dispatch_model::code;
use reqwest::header::AUTHORIZATION;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::browser::refusal;
use super::super::http::Http;
use super::settings::ClientAuthentication;

/// Who asks.
pub struct Client {
    pub id: String,
    /// None for a public client.
    pub secret: Option<SecretText>,
    pub authentication: ClientAuthentication,
}

/// Tokens as they are sent.
#[derive(Deserialize)]
pub struct Tokens {
    #[serde(default)]
    pub access_token: SecretText,
    pub id_token: Option<SecretText>,
    pub refresh_token: Option<SecretText>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl Client {
    /// # Errors
    /// As the provider's refusal is meant, with `error` in it.
    pub async fn tokens(
        &self,
        http: &Http,
        url: &Url,
        by_post: bool,
        form: &[(&str, &str)],
    ) -> std::result::Result<Tokens, Refused> {
        let reply = http.send(self.request(http, url, by_post, form)).await?;
        if reply.status.is_success() {
            return Ok(reply.json("tokens")?);
        }
        let Ok(refusal) = reply.json::<Refusal>("refusal") else {
            let text = format!("the provider answers {} and does not say why", reply.status);
            return Err(Error::backend(code::IDENTITY004, Retry::Never, text).into());
        };
        Err(Refused::Named(refusal.error, refusal.error_description))
    }

    /// A request in the client's name.
    pub fn request(
        &self,
        http: &Http,
        url: &Url,
        by_post: bool,
        form: &[(&str, &str)],
    ) -> RequestBuilder {
        let request = http.client.post(url.clone()).header("accept", "application/json");
        let mut form = form.to_vec();
        let by_post = match self.authentication {
            ClientAuthentication::Auto => by_post,
            ClientAuthentication::Basic => false,
            ClientAuthentication::Post => true,
        };
        match &self.secret {
            Some(secret) if !by_post => request.header(AUTHORIZATION, self.basic(secret)),
            Some(secret) => {
                form.extend([("client_id", &*self.id), ("client_secret", secret.reveal())]);
                request
            }
            None => {
                form.push(("client_id", &self.id));
                request
            }
        }
        .form(&form)
    }

    /// Both are encoded as forms are, before they are put together (RFC 6749, 2.3.1).
    fn basic(&self, secret: &SecretText) -> http::HeaderValue {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let (id, secret): (String, String) = (encoded(&self.id), encoded(secret.reveal()));
        let pair = Zeroizing::new(format!("{id}:{secret}"));
        let text = format!("Basic {}", STANDARD.encode(pair.as_bytes()));
        let mut value = http::HeaderValue::from_str(&text).expect("base64 is plain");
        value.set_sensitive(true);
        value
    }
}

/// Why there are no tokens.
pub enum Refused {
    /// With the protocol's word, and the provider's own.
    Named(String, Option<String>),
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Error(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Named(error, description) => refusal(&error, description.as_deref()),
            Refused::Error(error) => error,
        }
    }
}

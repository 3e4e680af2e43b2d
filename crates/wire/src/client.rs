//! The typed client of the REST API: one connection pool, one organization, one credential.

mod credentials;
mod error;
mod events;

pub use credentials::Credentials;
pub use error::Error;
pub use events::Events;

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

pub type Result<T> = std::result::Result<T, Error>;

/// Addresses that a download leads to one after another, at most.
const MAX_REDIRECTS: usize = 10;
/// Pages that a whole list is read in.
const PAGE: u32 = 500;

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    organization: Option<String>,
    credentials: Credentials,
}

/// What came back, with what the headers say.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub body: Value,
    /// `Warning` headers, without their code.
    pub warnings: Vec<String>,
    /// Where the next page of a list begins.
    pub continue_token: Option<String>,
}

impl Client {
    /// A client of the server at `base` (`http://127.0.0.1:8080`).
    pub fn new(
        base: &str,
        organization: Option<String>,
        credentials: Credentials,
        insecure: bool,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .danger_accept_invalid_certs(insecure)
            // Another address would get what was meant for this one: passwords, tokens, bodies.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| Error::connection(base, &error))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, organization, credentials })
    }

    /// The same client for another organization.
    pub fn of_organization(&self, organization: &str) -> Self {
        Self { organization: Some(organization.to_owned()), ..self.clone() }
    }

    /// The same client, signed in otherwise.
    pub fn signed_in_with(&self, credentials: Credentials) -> Self {
        Self { credentials, ..self.clone() }
    }

    /// The bearer token it signs in with; a service account's is made anew. Secret.
    ///
    /// # Errors
    /// When the private key cannot sign.
    pub fn bearer(&self) -> Result<Option<String>> {
        self.credentials.bearer()
    }

    /// Whether it signs in with nothing.
    pub fn is_nobody(&self) -> bool {
        matches!(self.credentials, Credentials::None)
    }

    /// Where the server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request below `/v1` and reads JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.request(method, path)?.query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.checked(request).await?;
        let headers = response.headers().clone();
        let text = response.bytes().await.map_err(|e| Error::connection(&self.base, &e))?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&text).map_err(|e| Error::NotJson(e.to_string()))?
        };
        let one = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok(Answer {
            body,
            warnings: warnings(&headers),
            continue_token: one("x-dispatch-continue"),
        })
    }

    /// Sends bytes as they are and reads JSON.
    pub async fn upload(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
        size: u64,
    ) -> Result<Value> {
        let request = self.request(Method::PUT, path)?.body(body);
        let request = request.header(reqwest::header::CONTENT_LENGTH, size);
        let kind = (reqwest::header::CONTENT_TYPE, "application/octet-stream");
        let response = self.checked(request.header(kind.0, kind.1)).await?;
        response.json().await.map_err(|error| Error::NotJson(error.to_string()))
    }

    /// Hands on an answer that may be long, as it comes.
    ///
    /// # Errors
    /// Also when the server breaks off before its end.
    pub async fn pieces(
        &self,
        path: &str,
        query: &[(String, String)],
        mut take: impl FnMut(&[u8]),
    ) -> Result<()> {
        let request = self.request(Method::GET, path)?.query(query);
        let mut response = self.checked(request).await?;
        while let Some(piece) =
            response.chunk().await.map_err(|e| Error::connection(&self.base, &e))?
        {
            take(&piece);
        }
        Ok(())
    }

    /// Text that is not JSON.
    pub async fn text(&self, path: &str) -> Result<String> {
        let response = self.checked(self.request(Method::GET, path)?).await?;
        response.text().await.map_err(|e| Error::connection(&self.base, &e))
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.send(Method::GET, path, &[], None).await?.body)
    }

    /// A whole list, page by page; at most `limit` entries.
    pub async fn list(
        &self,
        path: &str,
        query: &[(String, String)],
        limit: Option<usize>,
    ) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let left = limit.map_or(PAGE as usize, |limit| limit - items.len());
            let mut page = query.to_vec();
            page.push(("limit".to_owned(), left.min(PAGE as usize).to_string()));
            page.extend(token.take().map(|token| ("continue".to_owned(), token)));
            let answer = self.send(Method::GET, path, &page, None).await?;
            let Value::Array(more) = answer.body else {
                return Err(Error::NotJson("the list is not an array".to_owned()));
            };
            items.extend(more);
            token = answer.continue_token;
            if token.is_none() || limit.is_some_and(|limit| items.len() >= limit) {
                return Ok(items);
            }
        }
    }

    /// Follows a list: server-sent events until the server ends them.
    pub async fn watch(&self, path: &str, query: &[(String, String)]) -> Result<Events> {
        let mut all = query.to_vec();
        all.push(("watch".to_owned(), "true".to_owned()));
        let request = self.request(Method::GET, path)?.query(&all);
        Ok(Events::new(self.checked(request).await?))
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let mut headers = HeaderMap::new();
        let value = |text: &str, what: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| Error::Credentials(format!("{what} holds characters it cannot hold")))
        };
        if let Some(org) = &self.organization {
            headers.insert("x-dispatch-org", value(org, "the organization")?);
        }
        if let Some(token) = self.credentials.bearer()? {
            let mut bearer = value(&format!("Bearer {token}"), "the token")?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        if let Credentials::Cookie(cookie) = &self.credentials {
            let mut cookie = value(cookie, "the cookie")?;
            cookie.set_sensitive(true);
            headers.insert(COOKIE, cookie);
        }
        let url = format!("{}/v1/{}", self.base, path.trim_start_matches('/'));
        Ok(self.http.request(method, url).headers(headers))
    }

    async fn checked(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|e| Error::connection(&self.base, &e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).map(HeaderValue::as_bytes);
            let to = to.map(|to| String::from_utf8_lossy(to).into_owned());
            return Err(Error::Redirect { base: self.base.clone(), status: status.as_u16(), to });
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
        let retry_after = retry_after.and_then(|seconds| seconds.trim().parse().ok());
        let body = response.bytes().await.unwrap_or_default();
        Err(Error::answer(status.as_u16(), &body).retry_after(retry_after))
    }
}

fn warnings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("warning").iter().filter_map(|value| value.to_str().ok());
    // 299 - "text", as RFC 7234 has it.
    let text = |value: &str| {
        let quoted = value.split_once('"').map_or(value, |(_, rest)| rest);
        quoted.trim_end_matches('"').replace("\\\"", "\"")
    };
    values.map(text).collect()
}

/// Reads a text from a URL that is not the server's, such as a file of documents.
pub async fn download(url: &str, max_bytes: usize) -> Result<String> {
    let failed = |error: reqwest::Error| Error::download(url, &error);
    let refused = |cause: String| Error::Download { url: url.to_owned(), cause };
    // What came by TLS so far is not looked for without it.
    let policy = reqwest::redirect::Policy::custom(|attempt| {
        let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
        match attempt.previous().len() {
            MAX_REDIRECTS.. => attempt.error("it leads from one address to the next"),
            _ if secure && attempt.url().scheme() != "https" => {
                attempt.error("it leads to an address without TLS")
            }
            _ => attempt.follow(),
        }
    });
    let client = reqwest::Client::builder().redirect(policy).build().map_err(failed)?;
    let mut response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(refused(format!("status {}", response.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > max_bytes {
            return Err(refused(format!("it is larger than {max_bytes} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8 text".to_owned()))
}

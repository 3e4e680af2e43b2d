//! Requests to one repository, by somebody who signed in to it.

use futures::StreamExt as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use super::sign_in::Intent;
use super::{Credentials, Reference, Registries, failure};
use crate::content::MAX_DOCUMENT;
use crate::{Digest, Error, Result};

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

pub(super) struct Session<'a> {
    pub registries: &'a Registries,
    pub reference: &'a Reference,
    authorization: Option<String>,
}

impl Registries {
    pub(super) async fn session<'a>(
        &'a self,
        reference: &'a Reference,
        who: &Credentials,
        intent: Intent,
    ) -> Result<Session<'a>> {
        let authorization = self.sign_in(reference, who, intent).await?;
        Ok(Session { registries: self, reference, authorization })
    }

    /// Of a path below a registry's API.
    pub(super) fn url(&self, host: &str, path: &str) -> String {
        let scheme = if self.is_plain(host) { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{path}")
    }
}

impl Session<'_> {
    /// A tag's or a digest's document, and its digest.
    pub async fn named(&self, version: &str) -> Result<(Digest, Vec<u8>)> {
        let found = self.look(version).await?;
        found.ok_or_else(|| failure::status(self.reference, StatusCode::NOT_FOUND))
    }

    /// The same; `None` when it is not there.
    pub async fn look(&self, version: &str) -> Result<Option<(Digest, Vec<u8>)>> {
        let request = self.request(Method::GET, &format!("manifests/{version}"));
        let request = request.header(reqwest::header::ACCEPT, MANIFESTS);
        let Some(response) = self.find(request).await? else { return Ok(None) };
        let bytes = read(self.reference, response, MAX_DOCUMENT).await?;
        let digest = Digest::of(&bytes);
        match version.parse::<Digest>() {
            Ok(wanted) if wanted != digest => {
                let host = self.reference.host();
                Err(Error::refused(format!("registry {host} sent {digest} for {wanted}")))
            }
            _ => Ok(Some((digest, bytes))),
        }
    }

    /// Stores a manifest or an index under a tag or its digest; returns what the answer says.
    pub async fn put(&self, version: &str, kind: &str, bytes: Vec<u8>) -> Result<HeaderMap> {
        let digest = Digest::of(&bytes);
        let request = self.request(Method::PUT, &format!("manifests/{version}"));
        let response = self.send(request.header(CONTENT_TYPE, kind).body(bytes)).await?;
        tracing::debug!(reference = %self.reference, %digest, "a manifest was pushed");
        Ok(response.headers().clone())
    }

    /// The token we were given, where there is one.
    pub fn token(&self) -> Option<&str> {
        self.authorization.as_ref()?.strip_prefix("Bearer ")
    }

    /// Of a path below the repository.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let (host, repository) = (self.reference.host(), self.reference.repository());
        let url = self.registries.url(host, &format!("{repository}/{path}"));
        let request = self.registries.http.request(method, url);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let found = self.find(request).await?;
        found.ok_or_else(|| failure::status(self.reference, StatusCode::NOT_FOUND))
    }

    /// `None` where there is no such thing.
    pub async fn find(&self, request: RequestBuilder) -> Result<Option<Response>> {
        let response = request.send().await;
        let response = response.map_err(|error| failure::transport(self.reference, &error))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(response)),
            _ => Err(failure::answer(self.reference, response).await),
        }
    }
}

/// All of an answer.
///
/// # Errors
/// [`Error::Refused`] when it has more than `most` bytes.
pub(super) async fn read(reference: &Reference, response: Response, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| failure::transport(reference, &error))?;
        if (bytes.len() + piece.len()) as u64 > most {
            let host = reference.host();
            let text = format!("registry {host} sends a document of more than {most} bytes");
            return Err(Error::refused(text));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

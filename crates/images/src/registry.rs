//! Registries: images fetched from them and pushed to them (OCI distribution specification).
//!
//! `oci-client` uploads blobs. The rest is done here, because everything that comes from elsewhere
//! has a limit: bytes, time without a byte, redirects, and where a password may go.

mod failure;
mod fetch;
mod push;
mod reach;
mod reference;
mod referrers;
mod remove;
mod session;
mod sign_in;
mod signatures;

use std::sync::Arc;
use std::time::Duration;

use oci_client::Client;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};

use reqwest::redirect::Policy;

use crate::{Error, Result};

pub use reference::Reference;
pub use referrers::Referrer;

/// Redirects followed for one answer.
const MAX_REDIRECTS: usize = 5;

/// How registries are spoken to.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `host:port`s that are spoken to without TLS.
    pub plain_http: Vec<String>,
    /// Certificates (PEM) trusted besides the machine's.
    pub certificates: Vec<Vec<u8>>,
    pub connect_timeout: Duration,
    /// Time without a byte after which a transfer is given up.
    pub stall_timeout: Duration,
    /// Bytes of one image's layers together.
    pub max_image_bytes: u64,
}

/// Who asks a registry.
#[derive(Clone, Default)]
pub enum Credentials {
    #[default]
    Nobody,
    Password {
        user: String,
        password: String,
    },
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::Nobody => "Nobody",
            Credentials::Password { .. } => "Password",
            Credentials::Token(_) => "Token",
        })
    }
}

/// Speaks to registries; clones share connections.
#[derive(Clone)]
pub struct Registries {
    settings: Settings,
    http: reqwest::Client,
    /// Whoever changes a list of what is attached to an image; registries have no way to ask for
    /// a change of one entry.
    attaching: Arc<tokio::sync::Mutex<()>>,
}

impl Registries {
    /// # Errors
    /// When a certificate is none.
    pub fn new(settings: Settings) -> Result<Self> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.stall_timeout)
            .dns_resolver(Arc::new(reach::Names))
            .redirect(redirects(settings.plain_http.clone()));
        for pem in &settings.certificates {
            let all = reqwest::Certificate::from_pem_bundle(pem);
            let all = all.map_err(|e| Error::refused(format!("images.ca_file: {e}")))?;
            if all.is_empty() {
                return Err(Error::refused("images.ca_file: there is no certificate (PEM) in it"));
            }
            for certificate in all {
                http = http.add_root_certificate(certificate);
            }
        }
        let http = http.build().map_err(|e| Error::refused(format!("images.ca_file: {e}")))?;
        Ok(Self { settings, http, attaching: Arc::default() })
    }

    /// A client of the library. Each has its own memory of who signed in, so that one image's
    /// credentials are never used for another's.
    fn client(&self) -> Result<Client> {
        let settings = &self.settings;
        let certificates = settings
            .certificates
            .iter()
            .map(|pem| Certificate { encoding: CertificateEncoding::Pem, data: pem.clone() });
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(settings.plain_http.clone()),
            extra_root_certificates: certificates.collect(),
            connect_timeout: Some(settings.connect_timeout),
            read_timeout: Some(settings.stall_timeout),
            user_agent: concat!("dispatch/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Client::try_from(config).map_err(|e| Error::refused(format!("images.ca_file: {e}")))
    }

    /// Bytes of one image's layers together.
    pub fn max_image_bytes(&self) -> u64 {
        self.settings.max_image_bytes
    }

    /// Whether what is sent there, and comes from there, goes through TLS, or may go without.
    fn is_safe(&self, url: &reqwest::Url) -> bool {
        is_safe(url, &self.settings.plain_http)
    }

    fn is_plain(&self, host: &str) -> bool {
        self.settings.plain_http.iter().any(|plain| plain == host)
    }
}

fn is_safe(url: &reqwest::Url, plain_http: &[String]) -> bool {
    let host = url.host_str().unwrap_or_default();
    let whole = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    url.scheme() == "https" || (url.scheme() == "http" && plain_http.contains(&whole))
}

/// Registries keep blobs elsewhere; also there only with TLS, except where it may go without.
fn redirects(plain_http: Vec<String>) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("leads in circles");
        }
        if let Some(why) = reach::refused(attempt.url()) {
            return attempt.error(why);
        }
        if !is_safe(attempt.url(), &plain_http) {
            let text =
                format!("leads to {}, without TLS", attempt.url().origin().ascii_serialization());
            return attempt.error(text);
        }
        attempt.follow()
    })
}

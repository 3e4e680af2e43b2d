//! Connections to a directory: encrypted, to an address that was looked at, each step in time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::identity::{SecretText, refused};
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry, StdStream,
};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use url::Url;

use crate::client;
use crate::guard::{Guard, refusal};

/// Entries that one answer of the directory holds.
const PAGE: i32 = 200;
/// The same to a directory, as its protocol has it: the name or the password is wrong.
pub const INVALID_CREDENTIALS: u32 = 49;
const NO_SUCH_OBJECT: u32 = 32;
const RETRY: Retry = Retry::After(Duration::from_secs(1));

/// Where the directory is, and how it is spoken to.
pub struct Server {
    url: Url,
    guard: Guard,
    plain: bool,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

/// One connection. It ends when it is dropped.
pub struct Connection {
    ldap: Ldap,
    timeout: Duration,
}

/// Entries of a search, and whether they are all.
pub struct Found {
    pub entries: Vec<SearchEntry>,
    pub all: bool,
}

impl Server {
    /// # Errors
    /// When the address, or what protects the way to it, cannot be used.
    pub fn new(url: &str, plain: bool, ca_file: Option<&str>, timeout: Duration) -> Result<Self> {
        let wrong = || {
            let text =
                format!("settings.url is {url:?}; write ldaps://HOST[:PORT] or ldap://HOST[:PORT]");
            refused(text)
        };
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        let bare = parsed.path().trim_matches('/').is_empty()
            && parsed.query().is_none()
            && parsed.fragment().is_none()
            && parsed.username().is_empty()
            && parsed.password().is_none();
        let host = parsed.host_str().unwrap_or_default();
        if !matches!(parsed.scheme(), "ldap" | "ldaps") || host.is_empty() || !bare {
            return Err(wrong());
        }
        let guard = Guard::of(&parsed);
        if plain && (parsed.scheme() != "ldap" || !guard.is_on_machine()) {
            let text = "settings.plain is for ldap:// to the machine itself: passwords would be \
                        read on the way";
            return Err(refused(text));
        }
        Ok(Self { url: parsed, guard, plain, tls: tls(ca_file)?, timeout })
    }

    pub fn shown(&self) -> &str {
        self.url.as_str()
    }

    /// # Errors
    /// `IDENTITY002` when it cannot be reached, or is not who it should be.
    pub async fn connect(&self) -> Result<Connection> {
        match tokio::time::timeout(self.timeout, self.reach()).await {
            Ok(connected) => connected,
            Err(_) => Err(away("it takes too long")),
        }
    }

    async fn reach(&self) -> Result<Connection> {
        let secure = self.url.scheme() == "ldaps";
        let port = self.url.port().unwrap_or(if secure { 636 } else { 389 });
        let host = self.url.host_str().unwrap_or_default();
        let failed = |error: std::io::Error| match refusal(&error) {
            Some(refused) => Error::from(refused),
            None => away(&error.to_string()),
        };
        let mut last = None;
        for address in self.guard.addresses(host).await.map_err(failed)? {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => return self.speak(stream).await,
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| away("it has no address"), failed))
    }

    async fn speak(&self, stream: TcpStream) -> Result<Connection> {
        let stream = stream.into_std().map_err(|error| away(&error.to_string()))?;
        let settings = LdapConnSettings::new()
            .set_std_stream(StdStream::Tcp(stream))
            .set_config(self.tls.clone())
            .set_starttls(!self.plain);
        let (connection, ldap) = LdapConnAsync::from_url_with_settings(settings, &self.url)
            .await
            .map_err(|error| away(&error.to_string()))?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told of it too.
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to a directory ended");
            }
        });
        Ok(Connection { ldap, timeout: self.timeout })
    }
}

impl Connection {
    /// What the directory says to a name and a password.
    pub async fn bind(&mut self, dn: &str, password: &SecretText) -> Result<LdapResult> {
        // Such a bind is one of nobody and succeeds (RFC 4513, 5.1.2).
        if password.reveal().is_empty() || dn.is_empty() {
            return Err(Error::ours(code::IDENTITY003, "a bind without a name or password"));
        }
        let timeout = self.timeout;
        in_time(timeout, self.ldap.simple_bind(dn, password.reveal())).await
    }

    /// Up to `most` entries. References to other directories are not followed.
    pub async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> Result<Found> {
        let timeout = self.timeout;
        in_time(timeout, self.collect(base, scope, filter, attributes, most)).await
    }

    async fn collect(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> ldap3::result::Result<Found> {
        let attributes: Vec<String> = attributes.iter().map(|&name| name.to_owned()).collect();
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
        let search = self.ldap.streaming_search_with(adapters, base, scope, filter, attributes);
        let (mut stream, mut entries) = (search.await?, Vec::new());
        while let Some(entry) = stream.next().await? {
            if entries.len() == most {
                // The connection goes with its caller, so nothing more of it arrives.
                return Ok(Found { entries, all: false });
            }
            entries.push(SearchEntry::construct(entry));
        }
        let ended = stream.finish().await;
        match ended.rc {
            0 | NO_SUCH_OBJECT => Ok(Found { entries, all: true }),
            // A limit of the directory's own, in entries or time; or it knows only where else.
            3 | 4 | 10 | 11 => Ok(Found { entries, all: false }),
            _ => Err(LdapError::from(ended)),
        }
    }
}

async fn in_time<T>(
    timeout: Duration,
    step: impl Future<Output = ldap3::result::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(timeout, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(away(&error.to_string())),
        Err(_) => Err(away("it takes too long")),
    }
}

/// The machine's own certificates and those of the file.
fn tls(ca_file: Option<&str>) -> Result<Arc<ClientConfig>> {
    let mut more = Vec::new();
    if let Some((path, pem)) = client::read(ca_file).map_err(refused)? {
        let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        more = all.map_err(|error| refused(format!("settings.caFile, {path}: {error}")))?;
        if more.is_empty() {
            let text = format!("settings.caFile, {path}: there is no certificate (PEM) in it");
            return Err(refused(text));
        }
    }
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unusable = |error: rustls::Error| refused(format!("settings.caFile: {error}"));
    let verifier = Verifier::new_with_extra_roots(more, provider.clone()).map_err(unusable)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        // The same verifier that HTTP clients have here; the builder knows only root stores.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn away(why: &str) -> Error {
    let why: String = why.chars().filter(|c| !c.is_control()).take(300).collect();
    Error::backend(code::IDENTITY002, RETRY, format!("the directory does not answer: {why}"))
}

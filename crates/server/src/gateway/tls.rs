//! Certificates: the gateway's own, made at the first start, and those of APIs, chosen by SNI.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use dashmap::DashMap;
use dispatch_model::{Name, OrgName, Violation};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::host;
use super::rank::Rank;

/// How long a self-signed certificate is valid, and how old it may get.
const VALID_DAYS: u64 = 397;
const RENEW_DAYS: u64 = 365;

/// An API's certificate at one host.
#[derive(Debug)]
struct Held {
    org: OrgName,
    api: Name,
    rank: Rank,
    key: Arc<CertifiedKey>,
}

/// All certificates of a gateway.
#[derive(Debug)]
pub struct Certificates {
    own: Arc<CertifiedKey>,
    /// By host, as APIs spell them (`a.example.org`, `*.example.org`).
    /// Of several APIs of an organization the one that was created first comes first.
    by_host: DashMap<String, Vec<Held>>,
    hosts: Mutex<HashMap<(OrgName, Name), Vec<String>>>,
}

impl Certificates {
    /// Loads the gateway's own certificate from `gateway/` in the data directory, after making it
    /// at the first start or when it is about to expire.
    pub fn open(data_dir: &Path) -> anyhow::Result<Arc<Self>> {
        let (certificate, folder) = (Self::own_file(data_dir), data_dir.join("gateway"));
        let key = folder.join("tls.key");
        if !is_fresh(&certificate) || !key.exists() {
            make(&folder).with_context(|| format!("cannot make {}", certificate.display()))?;
        }
        let read =
            |file: &Path| std::fs::read_to_string(file).with_context(|| file.display().to_string());
        let own = certified(&read(&certificate)?, &read(&key)?)
            .map_err(|why| anyhow::anyhow!("{}: {why}", certificate.display()))?;
        let (by_host, hosts) = (DashMap::default(), Mutex::default());
        Ok(Arc::new(Self { own: Arc::new(own), by_host, hosts }))
    }

    /// Where the gateway's own certificate is.
    pub fn own_file(data_dir: &Path) -> PathBuf {
        data_dir.join("gateway/tls.crt")
    }

    /// SHA-256 of the gateway's own certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(self.own.cert[0].as_ref());
        digest.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
    }

    /// Serves hosts with a certificate. They must be the organization's: whatever another one
    /// put for them before is dropped.
    pub fn put(
        &self,
        (org, api): (&OrgName, &Name),
        rank: Rank,
        hosts: &[String],
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<(), Violation> {
        let key = certified(certificate_pem, key_pem).map_err(|why| Violation::new("tls", why))?;
        let key = Arc::new(key);
        let hosts: Vec<String> = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let mut listed = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        for host in &hosts {
            let mut held = self.by_host.entry(host.clone()).or_default();
            held.retain(|other| other.org == *org && other.api != *api);
            let at = held.partition_point(|other| other.rank < rank);
            held.insert(at, Held { org: org.clone(), api: api.clone(), rank, key: key.clone() });
        }
        let old = listed.insert((org.clone(), api.clone()), hosts.clone()).unwrap_or_default();
        let gone = old.into_iter().filter(|host| !hosts.contains(host)).collect();
        self.take_out(org, api, gone);
        Ok(())
    }

    pub fn remove(&self, org: &OrgName, api: &Name) {
        let mut listed = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let hosts = listed.remove(&(org.clone(), api.clone())).unwrap_or_default();
        self.take_out(org, api, hosts);
    }

    fn take_out(&self, org: &OrgName, api: &Name, hosts: Vec<String>) {
        for host in hosts {
            if let Some(mut held) = self.by_host.get_mut(&host) {
                held.retain(|other| other.org != *org || other.api != *api);
            }
            self.by_host.remove_if(&host, |_, held| held.is_empty());
        }
    }

    /// The certificate for the host a client names: its own, a wildcard's, or the gateway's.
    fn of_host(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let held = |host: &str| {
            self.by_host.get(host).and_then(|held| held.first().map(|held| held.key.clone()))
        };
        let wildcard = |name: &str| held(&format!("*.{}", host::parent(name)?));
        let of_api = name.and_then(|name| held(name).or_else(|| wildcard(name)));
        of_api.unwrap_or_else(|| self.own.clone())
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn server_config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what the default versions need");
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.of_host(hello.server_name()))
    }
}

/// A certificate chain and its key, checked to belong together.
fn certified(certificate_pem: &str, key_pem: &str) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate (tls.crt) cannot be read: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate (tls.crt) holds no PEM block CERTIFICATE".to_owned());
    }
    // The error may quote the key's text, so it is not passed on.
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| "the key (tls.key) holds no PEM private key".to_owned())?;
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| "the key (tls.key) is of a kind that is not supported".to_owned())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(_) => Err("the key (tls.key) does not belong to the certificate (tls.crt)".to_owned()),
    }
}

fn is_fresh(file: &Path) -> bool {
    let made = std::fs::metadata(file).and_then(|m| m.modified());
    let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
    age.is_some_and(|age| age < Duration::from_secs(RENEW_DAYS * 86_400))
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if !host.is_empty() && host != "localhost" && host.is_ascii() {
        names.push(host.to_owned());
    }
    let mut parameters = rcgen::CertificateParams::new(names)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "Dispatch gateway");
    let now = SystemTime::now();
    parameters.not_before = (now - Duration::from_secs(86_400)).into();
    parameters.not_after = (now + Duration::from_secs(VALID_DAYS * 86_400)).into();
    let key = rcgen::KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    write(&folder.join("tls.key"), &key.serialize_pem(), 0o600)?;
    write(&folder.join("tls.crt"), &certificate.pem(), 0o644)
}

fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let next = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(mode).open(&next)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(&next, file)?;
    Ok(())
}

//! An authority of a test, and what it vouches for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Who vouches.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Writes `authority.crt`.
    pub fn new(folder: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut own = CertificateParams::new(Vec::new()).expect("no names");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        own.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let certificate = own.self_signed(&key).expect("a certificate");
        fs::write(folder.join("authority.crt"), certificate.pem()).expect("a file");
        Self(Issuer::new(own, key))
    }

    /// Writes `server.crt` and `server.key` for a server with these names and addresses.
    pub fn server(&self, folder: &Path, called: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut server = CertificateParams::new(names).expect("plain names");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.distinguished_name.push(DnType::CommonName, called);
        self.sign(folder, "server", &server);
    }

    /// Writes `NAME.crt`, and `NAME.key`, which only the owner reads.
    pub fn sign(&self, folder: &Path, name: &str, own: &CertificateParams) {
        let key = KeyPair::generate().expect("a key");
        let certificate = own.signed_by(&key, &self.0).expect("a certificate");
        fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("a file");
        let file = folder.join(format!("{name}.key"));
        fs::write(&file, key.serialize_pem()).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
}

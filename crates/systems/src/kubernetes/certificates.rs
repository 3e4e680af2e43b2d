//! An authority, and what it vouches for: the server and one client.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Writes `authority.crt`, `server` and `client` as `.crt` and `.key`, and the keys of service
/// accounts' tokens as `accounts.key` and `accounts.pub`.
pub fn write(folder: &Path) {
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "an authority of a test");
    let own = authority.self_signed(&key).expect("a certificate");
    fs::write(folder.join("authority.crt"), own.pem()).expect("a file");
    let issuer = Issuer::new(authority, key);
    let mut server = CertificateParams::new(names()).expect("plain names");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    sign(folder, "server", &server, &issuer);
    let mut client = CertificateParams::new(Vec::new()).expect("no names");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    client.distinguished_name.push(DnType::CommonName, "certificate");
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    sign(folder, "client", &client, &issuer);
    accounts(folder);
}

fn accounts(folder: &Path) {
    let key = KeyPair::generate().expect("a key");
    fs::write(folder.join("accounts.key"), key.serialize_pem()).expect("a file");
    fs::write(folder.join("accounts.pub"), key.public_key_pem()).expect("a file");
}

fn names() -> Vec<String> {
    ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(str::to_owned).to_vec()
}

fn sign(folder: &Path, name: &str, own: &CertificateParams, issuer: &Issuer<'_, KeyPair>) {
    let key = KeyPair::generate().expect("a key");
    let certificate = own.signed_by(&key, issuer).expect("a certificate");
    fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("a file");
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
}

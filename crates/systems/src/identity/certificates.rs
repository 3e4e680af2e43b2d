//! An authority, and a server it vouches for.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Writes `authority.crt`, `server.crt` and `server.key`, which only the owner reads.
pub fn write(folder: &Path, names: &[&str]) {
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "an authority of a test");
    let own = authority.self_signed(&key).expect("a certificate");
    fs::write(folder.join("authority.crt"), own.pem()).expect("a file");
    let issuer = Issuer::new(authority, key);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut server = CertificateParams::new(names).expect("plain names");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.distinguished_name.push(DnType::CommonName, "a directory of a test");
    let key = KeyPair::generate().expect("a key");
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");
    fs::write(folder.join("server.crt"), certificate.pem()).expect("a file");
    let file = folder.join("server.key");
    fs::write(&file, key.serialize_pem()).expect("a file");
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, owner).expect("a mode");
}

//! What an authority vouches for in a cluster: the server and one client.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

use crate::certificates::Authority;

/// Writes `authority.crt`, `server` and `client` as `.crt` and `.key`, and the keys of service
/// accounts' tokens as `accounts.key` and `accounts.pub`.
pub fn write(folder: &Path) {
    let authority = Authority::new(folder);
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"];
    authority.server(folder, "kube-apiserver", &names);
    let mut client = CertificateParams::new(Vec::new()).expect("no names");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    client.distinguished_name.push(DnType::CommonName, "certificate");
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    authority.sign(folder, "client", &client);
    accounts(folder);
}

fn accounts(folder: &Path) {
    let key = KeyPair::generate().expect("a key");
    fs::write(folder.join("accounts.key"), key.serialize_pem()).expect("a file");
    fs::write(folder.join("accounts.pub"), key.public_key_pem()).expect("a file");
}

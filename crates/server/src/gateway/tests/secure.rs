//! TLS: the gateway's own certificate, those of APIs, HTTP/2.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A certificate and its key for a host, as PEM.
fn certificate(host: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

impl Server {
    /// Calls a host that trusts only the given certificate.
    async fn call(&self, host: &str, trusted: &str) -> reqwest::Result<reqwest::Response> {
        let trusted = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([trusted])
            .resolve(host, self.https)
            .build()
            .unwrap();
        client.get(format!("https://{host}:{}/in", self.https.port())).send().await
    }
}

#[tokio::test]
async fn the_own_certificate_is_made_once_and_serves_http_2() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/in", |spec| spec.hosts = vec!["localhost".to_owned()]);
    let folder = server.data.path().join("gateway");
    let own = std::fs::read_to_string(folder.join("tls.crt")).unwrap();
    let mode = std::fs::metadata(folder.join("tls.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let response = server.call("localhost", &own).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    assert_eq!(response.text().await.unwrap(), "{}");
    let again = Certificates::open(server.data.path()).unwrap();
    assert_eq!(again.fingerprint(), server.gateway.certificates.fingerprint());
    assert_eq!(again.fingerprint().len(), 32 * 3 - 1);
}

#[tokio::test]
async fn each_host_is_served_with_its_certificate() {
    let server = Server::new(TestEngine::echo()).await;
    let (exact, wildcard) = ("a.example.org", "*.example.org");
    let hosts = [exact, wildcard, "other.example.com"].map(str::to_owned).to_vec();
    server.api("/in", |spec| spec.hosts = hosts);
    let own = std::fs::read_to_string(server.data.path().join("gateway/tls.crt")).unwrap();
    let put = |api: &str, host: &str| {
        let (pem, key) = certificate(host);
        let hosts = [host.to_owned()];
        server.gateway.put_certificate((&org(), &name(api)), RANK, &hosts, &pem, &key).unwrap();
        pem
    };
    let (of_exact, of_wildcard) = (put("one", exact), put("two", wildcard));
    assert!(server.call(exact, &of_exact).await.unwrap().status().is_success());
    assert!(server.call(exact, &of_wildcard).await.is_err());
    assert!(server.call("b.example.org", &of_wildcard).await.unwrap().status().is_success());
    assert!(server.call("other.example.com", &of_wildcard).await.is_err());
    let renewed = put("one", exact);
    assert!(server.call(exact, &of_exact).await.is_err());
    assert!(server.call(exact, &renewed).await.unwrap().status().is_success());
    server.gateway.remove_certificate(&org(), &name("one"));
    assert!(server.call(exact, &of_wildcard).await.unwrap().status().is_success());
    server.gateway.remove(&org(), &name("two"));
    assert!(server.call("b.example.org", &of_wildcard).await.is_err());
    assert!(server.call("localhost", &own).await.unwrap().status() == 404);
}

#[tokio::test]
async fn bad_certificates_are_refused_and_change_nothing() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/in", |spec| spec.hosts = vec!["a.example.org".to_owned()]);
    let ((pem, key), (_, other)) = (certificate("a.example.org"), certificate("a.example.org"));
    let hosts = ["a.example.org".to_owned()];
    let put = |org: &OrgName, pem: &str, key: &str| {
        server.gateway.put_certificate((org, &name("one")), LATER, &hosts, pem, key)
    };
    put(&org(), &pem, &key).unwrap();
    let (pem, key, other) = (pem.as_str(), key.as_str(), other.as_str());
    for (bad_pem, bad_key) in [(pem, other), ("x", key), (pem, "x"), (key, pem), ("", "")] {
        let violation = put(&org(), bad_pem, bad_key).unwrap_err();
        assert_eq!(violation.field, "tls");
        assert!(!violation.rule.contains("PRIVATE KEY"), "{violation}");
    }
    let thief = OrgName::trusted("thief");
    let (stolen, key) = certificate("a.example.org");
    put(&thief, &stolen, &key).unwrap();
    assert!(server.call("a.example.org", &stolen).await.is_err());
    assert!(server.call("a.example.org", pem).await.unwrap().status().is_success());
}

#[tokio::test]
async fn an_https_only_api_is_served_by_https() {
    let server = Server::new(TestEngine::echo()).await;
    server.api("/in", |spec| {
        spec.hosts = vec!["localhost".to_owned()];
        spec.protocols = vec!["https".to_owned()];
    });
    let own = std::fs::read_to_string(server.data.path().join("gateway/tls.crt")).unwrap();
    assert_eq!(server.call("localhost", &own).await.unwrap().status(), 200);
}

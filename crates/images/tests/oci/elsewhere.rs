//! Where registries send us: to token services, to other hosts for blobs, to the next page.

use std::sync::{Arc, Mutex};

use dispatch_images::registry::{Credentials, Reference, Registries, Settings};
use dispatch_images::{Digest, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::bed::{Bed, Registry, documents, run, settings, tar};

type Heads = Arc<Mutex<Vec<String>>>;

/// Status line with more headers, and a body.
type Answer = (String, Vec<u8>);

/// Answers each request by its head; says where, and which requests came.
async fn serve(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heads) = (listener.local_addr().unwrap().to_string(), Heads::default());
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let (status, body) = answer(&head);
            seen.lock().unwrap().push(head);
            let length = body.len();
            let start = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let _ = stream.write_all(&[start.as_bytes(), &body].concat()).await;
        }
    });
    (address, heads)
}

fn plain(hosts: &[&str]) -> Registries {
    let plain_http = hosts.iter().map(|host| (*host).to_owned()).collect();
    Registries::new(Settings { plain_http, ..settings("") }).unwrap()
}

fn me() -> Credentials {
    Credentials::Password { user: "me".to_owned(), password: "secret".to_owned() }
}

/// An image with one layer, and what a registry answers to requests for it.
struct Image {
    layer: Vec<u8>,
    manifest: Vec<u8>,
    config: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        let layer = tar(&[("a", tar::EntryType::Regular, "x")]);
        let digest = Digest::of(&layer);
        let (manifest, config) = documents(&[(digest.clone(), layer.len() as u64, digest)]);
        Self { layer, manifest, config }
    }

    fn answer(&self, head: &str) -> Answer {
        let ok = |bytes: &[u8]| ("200 OK".to_owned(), bytes.to_vec());
        match head.split_whitespace().nth(1).unwrap() {
            "/v2/" => ok(b"{}"),
            path if path.contains("/manifests/") => ok(&self.manifest),
            path if path.ends_with(Digest::of(&self.config).as_str()) => ok(&self.config),
            path if path.ends_with(Digest::of(&self.layer).as_str()) => ok(&self.layer),
            _ => ("404 Not Found".to_owned(), Vec::new()),
        }
    }
}

#[tokio::test]
async fn a_token_is_fetched_and_the_password_goes_nowhere_without_tls() {
    let token = |head: &str| match head.to_lowercase().contains("authorization: basic ") {
        true => ("200 OK".to_owned(), br#"{"access_token":"of the day"}"#.to_vec()),
        false => ("401 Unauthorized".to_owned(), Vec::new()),
    };
    let (service, asked) = serve(token).await;
    let (image, realm) = (Image::new(), service.clone());
    let (registry, _) = serve(move |head| match head.contains("Bearer of the day") {
        true => image.answer(head),
        false => {
            let challenge = format!("Bearer realm=\"http://{realm}/token\",service=\"r\"");
            (format!("401 Unauthorized\r\nwww-authenticate: {challenge}"), Vec::new())
        }
    })
    .await;
    let reference: Reference = format!("{registry}/a/b:1").parse().unwrap();

    let only_registry = plain(&[&registry]);
    let refused = only_registry.resolve(&reference, &me()).await.unwrap_err();
    let text = refused.to_string();
    assert!(!refused.is_passing() && text.contains("without TLS"), "{text}");
    assert!(asked.lock().unwrap().is_empty(), "nobody was told the password");

    let both = plain(&[&registry, &service]);
    both.resolve(&reference, &me()).await.unwrap();
    let head = asked.lock().unwrap()[0].clone();
    assert!(head.contains("scope=repository%3Aa%2Fb%3Apull&service=r "), "{head}");
    let nobody = both.resolve(&reference, &Credentials::Nobody).await.unwrap_err().to_string();
    assert!(nobody.contains("401"), "{nobody}");
    both.resolve(&reference, &Credentials::Token("of the day".to_owned())).await.unwrap();
}

#[tokio::test]
async fn blobs_come_from_elsewhere_only_where_that_is_as_safe() {
    let there = Image::new();
    let (elsewhere, asked) = serve(move |head| there.answer(head)).await;
    let (image, to) = (Image::new(), elsewhere.clone());
    let (registry, _) = serve(move |head| {
        let path = head.split_whitespace().nth(1).unwrap();
        match path.contains("/blobs/") {
            true => (format!("307 Go\r\nlocation: http://{to}{path}"), Vec::new()),
            false => image.answer(head),
        }
    })
    .await;
    let reference: Reference = format!("{registry}/a/b:1").parse().unwrap();
    let bed = Bed::new();
    let pull = async |hosts: &[&str]| plain(hosts).pull(&reference, &me(), &bed.content).await;
    let refused = pull(&[&registry]).await.unwrap_err();
    let text = refused.to_string();
    assert!(!refused.is_passing() && text.contains("without TLS"), "{text}");
    assert!(asked.lock().unwrap().is_empty());
    pull(&[&registry, &elsewhere]).await.unwrap();
    let heads = asked.lock().unwrap();
    let told = heads.iter().any(|head| head.to_lowercase().contains("authorization"));
    assert!(!told, "another host is not told who we are: {heads:?}");
}

#[tokio::test]
async fn a_registry_that_leads_in_circles_is_left() {
    let (registry, asked) = serve(|_| ("302 Found\r\nlocation: /v2/".to_owned(), Vec::new())).await;
    let reference: Reference = format!("{registry}/a/b:1").parse().unwrap();
    let refused = plain(&[&registry]).resolve(&reference, &Credentials::Nobody).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("leads in circles"), "{text}");
    assert!(asked.lock().unwrap().len() < 10);
}

#[tokio::test]
async fn a_list_of_what_is_attached_is_read_to_its_end() {
    let subject = Digest::of(b"an image");
    let page = |entry: &str| {
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
            "artifactType": "a/b", "digest": Digest::of(entry.as_bytes())}]});
        index.to_string().into_bytes()
    };
    let (registry, _) = serve(move |head| {
        let path = head.split_whitespace().nth(1).unwrap();
        let to = |next: &str| format!("200 OK\r\nlink: <{next}>; rel=\"next\"");
        let next = path.split_once('?').map(|(path, _)| format!("{path}?page=2"));
        match path {
            "/v2/" => ("200 OK".to_owned(), Vec::new()),
            _ if path.contains("/away/") => (to("http://127.0.0.1:1/v2/a/b"), page("one")),
            _ if path.contains("/endless/") => (to(path), page("one")),
            _ if next.is_some() => ("200 OK".to_owned(), page("two")),
            _ => (to(&format!("{path}?page=2")), page("one")),
        }
    })
    .await;
    let registries = plain(&[&registry]);
    let list = async |name: &str| {
        let reference: Reference = format!("{registry}/{name}/b:1").parse().unwrap();
        registries.referrers(&reference, &subject, Some("a/b"), &Credentials::Nobody).await
    };
    let all: Vec<_> = list("a").await.unwrap().into_iter().map(|r| r.digest).collect();
    assert_eq!(all, [Digest::of(b"one"), Digest::of(b"two")]);
    for name in ["away", "endless"] {
        let error = list(name).await.unwrap_err();
        assert!(matches!(&error, Error::Refused(t) if t.contains("list")), "{name}: {error}");
    }
}

#[tokio::test]
async fn certificates_of_the_operators_own_are_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=CA:FALSE",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ],
    );
    let tls = format!("tls: {{certificate: {certificate}, key: {key}}}");
    let registry = Registry::start_with_http(&tls);
    let (bed, nobody) = (Bed::new(), Credentials::Nobody);
    let to: Reference = format!("{}/a/b:1", registry.address).parse().unwrap();
    let from = format!("oci:{}:base", bed.layout().display());
    run("skopeo", &["copy", "--dest-tls-verify=false", &from, &format!("docker://{to}")]);
    let strange = bed.registries("none:1").resolve(&to, &nobody).await.unwrap_err().to_string();
    assert!(strange.contains("cannot be reached") && strange.contains("ertificate"), "{strange}");
    let certificates = vec![std::fs::read(&certificate).unwrap()];
    let trusting = Registries::new(Settings { certificates, ..settings("") }).unwrap();
    let image = trusting.pull(&to, &nobody, &bed.content).await.unwrap();
    trusting.push(&image, &to.tagged("2"), &nobody, &bed.content).await.unwrap();
    let none = Settings { certificates: vec![b"none".to_vec()], ..settings("") };
    assert!(Registries::new(none).is_err(), "what is no certificate is said at once");
}

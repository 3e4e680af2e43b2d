//! A provider that attacks the server: where it leads, how much it sends, which keys it has.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_driver::Result;
use dispatch_driver::identity::{IdentityProvider, SignedIn};
use dispatch_systems::certificates::Authority;
use futures::stream;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::kit::{Pairs, fails, make};

struct Hostile {
    address: SocketAddr,
    keys: Arc<Keys>,
}

#[derive(Default)]
struct Keys {
    public: Mutex<Vec<Value>>,
    asked: AtomicUsize,
}

impl Hostile {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, keys) = (listener.local_addr().unwrap(), Arc::new(Keys::default()));
        let app = Router::new()
            .route("/{case}/.well-known/openid-configuration", get(discovery))
            .route("/{case}/keys", get(list))
            .with_state((address, keys.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, keys }
    }

    fn issuer(&self, case: &str) -> String {
        format!("http://{}/{case}", self.address)
    }

    fn at(&self, case: &str, more: Pairs) -> Arc<dyn IdentityProvider> {
        let issuer = self.issuer(case);
        let mut settings = vec![("issuer", issuer.as_str()), ("timeout", "1s")];
        settings.extend(more);
        make("oidc", &settings, &[]).unwrap()
    }
}

type All = (SocketAddr, Arc<Keys>);

async fn discovery(State((address, _)): State<All>, Path(case): Path<String>) -> Response {
    let base = format!("http://{address}/{case}");
    let mut document = json!({"issuer": base, "jwks_uri": format!("{base}/keys")});
    let mut leads = |field: &str, to: &str| document[field] = to.into();
    match case.as_str() {
        "other-issuer" => leads("issuer", "https://id.example.org"),
        "slash" => leads("issuer", &format!("{base}/")),
        "metadata" => leads("jwks_uri", "https://169.254.169.254/latest/meta-data/"),
        "metadata-by-number" => leads("jwks_uri", "https://2852039166/latest/"),
        "metadata-of-IPv6" => leads("token_endpoint", "https://[fd00:ec2::254]/latest/"),
        "elsewhere-without-TLS" => leads("token_endpoint", "http://id.example.org/token"),
        "a-file" => leads("userinfo_endpoint", "file:///etc/passwd"),
        "nowhere" => leads("end_session_endpoint", "https://0.0.0.0/"),
        "redirect" => {
            let to = format!("http://{address}/good/.well-known/openid-configuration");
            return (StatusCode::FOUND, [("location", to)]).into_response();
        }
        "redirect-to-metadata" => {
            return (StatusCode::FOUND, [("location", "http://169.254.169.254/")]).into_response();
        }
        "huge" => return " ".repeat(2 * 1024 * 1024).into_response(),
        "endless" => return endless(Duration::ZERO),
        "slow" => return endless(Duration::from_millis(200)),
        "silent" => std::future::pending().await,
        "no-document" => return "<html>".into_response(),
        "not-there" => return StatusCode::NOT_FOUND.into_response(),
        "ill" => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => {}
    }
    axum::Json(document).into_response()
}

fn endless(pause: Duration) -> Response {
    let parts = stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 16 * 1024])), ()))
    });
    Body::from_stream(parts).into_response()
}

async fn list(State((_, keys)): State<All>, Path(case): Path<String>) -> Response {
    let before = keys.asked.fetch_add(1, Ordering::SeqCst);
    match case.as_str() {
        "ill-keys" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "silent-later" if before > 0 => std::future::pending().await,
        "endless-keys" => endless(Duration::ZERO),
        "redirected-keys" => (StatusCode::FOUND, [("location", "/good/keys")]).into_response(),
        _ => axum::Json(json!({"keys": *keys.public.lock().unwrap()})).into_response(),
    }
}

#[tokio::test]
async fn no_document_leads_the_server_astray_or_fills_it() {
    let hostile = Hostile::start().await;
    for (case, code) in [
        ("other-issuer", "IDENTITY004"),
        ("slash", "IDENTITY004"),
        ("no-document", "IDENTITY004"),
        ("huge", "IDENTITY004"),
        ("endless", "IDENTITY004"),
        ("metadata", "IDENTITY007"),
        ("metadata-by-number", "IDENTITY007"),
        ("metadata-of-IPv6", "IDENTITY007"),
        ("elsewhere-without-TLS", "IDENTITY007"),
        ("a-file", "IDENTITY007"),
        ("nowhere", "IDENTITY007"),
        ("redirect", "IDENTITY007"),
        ("redirect-to-metadata", "IDENTITY007"),
        ("redirected-keys", "IDENTITY007"),
        ("endless-keys", "IDENTITY004"),
        ("slow", "IDENTITY002"),
        ("silent", "IDENTITY002"),
        ("not-there", "IDENTITY002"),
        ("ill", "IDENTITY002"),
    ] {
        let begun = Instant::now();
        let token = unsigned("k");
        let error = hostile.at(case, &[]).verify_token(&token, "us").await.expect_err(case);
        assert_eq!(error.code, code, "{case}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{case} took {:?}", begun.elapsed());
        let health = hostile.at(case, &[]).health().await;
        assert!(!health.ok || case.contains("keys"), "{case}: {}", health.message);
    }
}

#[test]
fn no_setting_names_an_issuer_without_tls_or_on_the_link() {
    for issuer in [
        "http://id.example.org",
        "http://10.0.0.1",
        "https://169.254.169.254",
        "https://0.0.0.0",
        "https://[fe80::1]",
    ] {
        let error = make("oidc", &[("issuer", issuer)], &[]).err().expect(issuer);
        assert_eq!(error.code, "IDENTITY007", "{issuer}: {error}");
    }
    for (settings, secrets) in [
        ([("issuer", "https://id.example.org"), ("scopes", "email")], vec![]),
        ([("issuer", "https://id.example.org"), ("caFile", "/nowhere")], vec![]),
        ([("issuer", "https://id.example.org"), ("clockSkew", "2h")], vec![]),
        ([("issuer", "https://id.example.org"), ("timeout", "5m")], vec![]),
        ([("issuer", "https://id.example.org"), ("nameClaim", "upn")], vec![("clientSecret", "s")]),
    ] {
        let error = make("oidc", &settings, &secrets).err().expect("a refusal");
        assert_eq!(error.code, "IDENTITY003", "{settings:?}: {error}");
    }
}

/// A token of the right form that nobody has signed.
fn unsigned(kid: &str) -> String {
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
}

struct Signer {
    id: &'static str,
    key: EncodingKey,
    public: Value,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
            "x": encode(&point[1..33]), "y": encode(&point[33..])});
        Self { id, key: EncodingKey::from_ec_der(der.as_ref()), public }
    }

    fn token(&self, issuer: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": issuer, "aud": "us", "sub": "system:serviceaccount:ci:build",
            "iat": now, "exp": now + 60});
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

async fn verify(at: &dyn IdentityProvider, token: &str) -> Result<SignedIn> {
    at.verify_token(token, "us").await
}

#[tokio::test]
async fn keys_that_the_issuer_replaces_are_found_and_those_it_takes_back_are_gone() {
    let hostile = Hostile::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = hostile.issuer("good");
    let at = hostile.at("good", &[("keysInterval", "0s")]);
    *hostile.keys.public.lock().unwrap() = vec![old.public.clone()];
    let pod = verify(&*at, &old.token(&issuer)).await.unwrap();
    assert_eq!(pod.name, "system:serviceaccount:ci:build");
    fails(verify(&*at, &new.token(&issuer)).await, "IDENTITY009");
    *hostile.keys.public.lock().unwrap() = vec![new.public.clone()];
    verify(&*at, &new.token(&issuer)).await.unwrap();
    fails(verify(&*at, &old.token(&issuer)).await, "IDENTITY009");
    // A secret among the keys, under a name that a token uses, is none.
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "old"});
    hostile.keys.public.lock().unwrap().push(secret);
    fails(verify(&*at, &old.token(&issuer)).await, "IDENTITY009");
}

#[tokio::test]
async fn tokens_with_made_up_keys_do_not_make_the_server_ask_again_and_again() {
    let hostile = Hostile::start().await;
    let signer = Signer::new("k");
    *hostile.keys.public.lock().unwrap() = vec![signer.public.clone()];
    let at = hostile.at("good", &[("keysInterval", "5m")]);
    verify(&*at, &signer.token(&hostile.issuer("good"))).await.unwrap();
    let tokens: Vec<String> = (0..100).map(|n| unsigned(&format!("made-up-{n}"))).collect();
    let all = tokens.iter().map(|token| verify(&*at, token));
    for refused in futures::future::join_all(all).await {
        fails(refused, "IDENTITY009");
    }
    assert_eq!(hostile.keys.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_had_cost_few_questions_and_those_that_are_known_no_wait() {
    let hostile = Hostile::start().await;
    let at = hostile.at("ill-keys", &[]);
    let tokens: Vec<String> = (0..100).map(|n| unsigned(&format!("made-up-{n}"))).collect();
    let all = tokens.iter().map(|token| verify(&*at, token));
    for refused in futures::future::join_all(all).await {
        fails(refused, "IDENTITY002");
    }
    assert_eq!(hostile.keys.asked.load(Ordering::SeqCst), 1);

    let hostile = Hostile::start().await;
    let signer = Signer::new("k");
    *hostile.keys.public.lock().unwrap() = vec![signer.public.clone()];
    let at = hostile.at("silent-later", &[("keysInterval", "0s")]);
    let token = signer.token(&hostile.issuer("silent-later"));
    verify(&*at, &token).await.unwrap();
    let made_up = unsigned("made-up");
    let asks = verify(&*at, &made_up);
    let knows = async {
        while hostile.keys.asked.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        verify(&*at, &token).await
    };
    tokio::pin!(asks);
    tokio::select! {
        known = knows => drop(known.unwrap()),
        _ = &mut asks => panic!("who knows its key waited for who does not"),
    }
    fails(asks.await, "IDENTITY002");
}

/// A provider whose certificate an authority of the test vouches for; only its document is there.
async fn with_tls(folder: &std::path::Path) -> String {
    let chain = CertificateDer::pem_file_iter(folder.join("server.crt")).unwrap();
    let chain: std::result::Result<Vec<_>, _> = chain.collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor =
        TlsAcceptor::from(Arc::new(config.with_single_cert(chain.unwrap(), key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("https://{}", listener.local_addr().unwrap());
    let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!("content-length: {}\r\nconnection: close", document.len());
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{document}");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    issuer
}

#[tokio::test]
async fn a_certificate_counts_when_the_machine_or_the_file_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new(folder.path()).server(folder.path(), "a provider", &["127.0.0.1"]);
    let issuer = with_tls(folder.path()).await;
    let ca_file = folder.path().join("authority.crt").display().to_string();
    let trusting = make("oidc", &[("issuer", &issuer), ("caFile", &ca_file)], &[]).unwrap();
    let health = trusting.health().await;
    assert!(health.ok, "{}", health.message);
    let health = make("oidc", &[("issuer", &issuer)], &[]).unwrap().health().await;
    assert!(!health.ok && health.message.contains("certificate"), "{}", health.message);
}

//! Authentication against a real store, with tokens signed here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dispatch_model::service_account::{ServiceAccount, ServiceAccountSpec};
use dispatch_model::{Name, Resource, State, Tags};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::seal::SignInKey;

// A key pair for these tests only.
const PRIVATE: &str = include_str!("tests/private.pem");
const PUBLIC: &str = include_str!("tests/public.pem");

struct Fixture {
    authn: Arc<Authn>,
    _folder: tempfile::TempDir,
}

async fn fixture(mode: Mode, api: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/t.db", folder.path().display());
    let store = Store::open(&url, dispatch_store::Options::default()).await.unwrap();
    let spec = ServiceAccountSpec { public_key: STANDARD.encode(PUBLIC), ..Default::default() };
    let (org, name) = (OrgName::new("acme").unwrap(), Name::new("ci").unwrap());
    let account: Resource<ServiceAccount> =
        Resource::new(org, name, Tags::new(), State::Ready, spec);
    store.insert(&account).await.unwrap();
    let authorizer = Authorizer::load(&store).await.unwrap();
    let settings = Settings { mode, ..Settings::default() };
    let bootstrap = Bootstrap::load(folder.path(), "boot", &STANDARD.encode(PUBLIC)).unwrap();
    let api = api.parse().unwrap();
    let mint = SignInKey::parse(&SignInKey::made()).unwrap().mint();
    let authn = Authn::load(&store, authorizer, settings, bootstrap, mint, api).await.unwrap();
    Fixture { authn, _folder: folder }
}

fn token(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

impl Fixture {
    fn call(&self, headers: &[(&'static str, String)]) -> Result<Caller> {
        let map = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let peer = "127.0.0.1:4000".parse().unwrap();
        self.authn.authenticate(&map.collect(), &http::Method::GET, peer, "id".into())
    }

    fn bearer(&self, claims: &serde_json::Value) -> Result<Caller> {
        self.call(&[("authorization", format!("Bearer {}", token(claims)))])
    }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

#[tokio::test]
async fn an_account_signs_in_with_its_key() {
    let fixture = fixture(Mode::Required, "127.0.0.1:8080").await;
    let good = json!({"iss": "acme/ci", "iat": now() - 60, "exp": now() + 3_600});
    let caller = fixture.bearer(&good).unwrap();
    assert_eq!((caller.org.as_str(), caller.principal.subject()), ("acme", "ci"));
    let elsewhere = fixture.call(&[
        ("authorization", format!("bearer {}", token(&good))),
        ("x-dispatch-org", "other".to_owned()),
    ]);
    assert_eq!(elsewhere.unwrap().org.as_str(), "other", "authz decides what it may do there");
    let boot = json!({"iss": "boot", "exp": now() + 60});
    assert!(matches!(fixture.bearer(&boot).unwrap().principal, Principal::Bootstrap { .. }));
}

#[tokio::test]
async fn bad_tokens_are_refused_even_in_local_mode() {
    let fixture = fixture(Mode::Auto, "127.0.0.1:8080").await;
    assert!(fixture.call(&[]).is_ok(), "local mode");
    for (why, claims) in [
        ("expired", json!({"iss": "acme/ci", "exp": now() - 3_600})),
        ("no exp", json!({"iss": "acme/ci"})),
        ("future", json!({"iss": "acme/ci", "iat": now() + 600, "exp": now() + 900})),
        ("too long", json!({"iss": "acme/ci", "iat": now(), "exp": now() + 864_000})),
        ("unknown", json!({"iss": "acme/nobody", "exp": now() + 60})),
        ("other organization", json!({"iss": "other/ci", "exp": now() + 60})),
    ] {
        assert!(matches!(fixture.bearer(&claims), Err(Error::Unauthenticated { .. })), "{why}");
    }
    let mut forged = token(&json!({"iss": "acme/ci", "exp": now() + 60}));
    forged.replace_range(forged.len() - 4.., "AAAA");
    // `alg: none`, without a signature.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJhY21lL2NpIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    for bad in [forged.as_str(), unsigned, "x.y.z", ""] {
        let refused = fixture.call(&[("authorization", format!("Bearer {bad}"))]);
        assert!(matches!(refused, Err(Error::Unauthenticated { .. })), "{bad}");
    }
    assert!(fixture.call(&[("authorization", "Basic YTpi".to_owned())]).is_err());
    assert!(fixture.call(&[("x-dispatch-org", "a/b".to_owned())]).is_err());
}

/// A fresh key pair as PKCS #8 and PEM, and the algorithm it signs with.
fn pair(kind: Algorithm) -> (EncodingKey, String) {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    let (private, public): (Vec<u8>, Vec<u8>) = match kind {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), public.as_ref().to_vec())
        }
        _ => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), public.as_ref().to_vec())
        }
    };
    let key = match kind {
        Algorithm::ES256 => EncodingKey::from_ec_der(&private),
        _ => EncodingKey::from_ed_der(&private),
    };
    let public = STANDARD.encode(public);
    (key, format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n"))
}

#[test]
fn a_key_of_each_kind_proves_its_own_algorithm_and_no_other() {
    let settings = Settings::default();
    let claims = json!({"iss": "acme/ci", "iat": now(), "exp": now() + 60, "aud": "dispatch"});
    let rsa = (EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap(), PUBLIC.to_owned());
    let pairs = [
        (Algorithm::RS256, rsa),
        (Algorithm::ES256, pair(Algorithm::ES256)),
        (Algorithm::EdDSA, pair(Algorithm::EdDSA)),
    ];
    for (signed, (private, _)) in &pairs {
        let token = jsonwebtoken::encode(&Header::new(*signed), &claims, private).unwrap();
        for (known, (_, public)) in &pairs {
            check_public_key(&STANDARD.encode(public)).unwrap();
            let key = PublicKey::read(&STANDARD.encode(public)).unwrap();
            let outcome = token::verify(&token, &key, &settings);
            assert_eq!(outcome.is_ok(), signed == known, "{signed:?} against {known:?}");
        }
    }
    // The public key is known to everybody: as a shared secret it must prove nothing.
    for (_, (_, public)) in &pairs {
        let key = PublicKey::read(&STANDARD.encode(public)).unwrap();
        for secret in [public.clone(), STANDARD.encode(public)] {
            let secret = EncodingKey::from_secret(secret.as_bytes());
            let forged = Header::new(Algorithm::HS256);
            let forged = jsonwebtoken::encode(&forged, &claims, &secret).unwrap();
            let said = token::verify(&forged, &key, &settings).unwrap_err();
            assert_eq!(said, token::WRONG);
        }
    }
}

#[test]
fn what_a_header_points_to_is_not_followed() {
    let settings = Settings::default();
    let claims = json!({"iss": "acme/ci", "iat": now(), "exp": now() + 60});
    let key = PublicKey::read(&STANDARD.encode(PUBLIC)).unwrap();
    let (forger, _) = pair(Algorithm::ES256);
    for kid in ["../../../dev/null", "/etc/passwd", "' OR 1=1 --", "http://169.254.169.254/"] {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(kid.to_owned());
        header.jku = Some("http://169.254.169.254/keys".to_owned());
        let private = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap();
        let good = jsonwebtoken::encode(&header, &claims, &private).unwrap();
        assert_eq!(token::verify(&good, &key, &settings), Ok(()), "{kid} says nothing");
        header.alg = Algorithm::ES256;
        let forged = jsonwebtoken::encode(&header, &claims, &forger).unwrap();
        assert!(token::verify(&forged, &key, &settings).is_err(), "{kid}");
    }
    let critical = json!({"alg": "RS256", "crit": ["b64"], "b64": false});
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let token = format!("{}.{}.AAAA", encode(&critical), encode(&claims));
    assert!(token::refuse_critical(&token).unwrap_err().contains("crit"));
}

#[test]
fn a_token_is_for_those_it_names() {
    let key = PublicKey::read(&STANDARD.encode(PUBLIC)).unwrap();
    let lenient = Settings::default();
    let strict = Settings { require_audience: true, ..Settings::default() };
    for (audience, with, without) in [
        (json!("dispatch"), true, true),
        (json!(["other", "dispatch"]), true, true),
        (json!("other"), false, false),
        (json!([]), false, false),
        (json!(7), false, false),
        (json!(null), true, false),
    ] {
        let claims = json!({"iss": "acme/ci", "exp": now() + 60, "aud": audience});
        let token = token(&claims);
        assert_eq!(token::verify(&token, &key, &lenient).is_ok(), with, "{audience}");
        assert_eq!(token::verify(&token, &key, &strict).is_ok(), without, "{audience}");
    }
}

#[tokio::test]
async fn a_header_that_is_there_twice_counts_for_nothing() {
    let fixture = fixture(Mode::Required, "127.0.0.1:8080").await;
    let good = format!("Bearer {}", token(&json!({"iss": "acme/ci", "exp": now() + 60})));
    for (name, values) in [
        ("x-dispatch-org", ["acme".to_owned(), "other".to_owned()]),
        ("authorization", [good.clone(), good.clone()]),
    ] {
        let mut headers = HeaderMap::new();
        if name != "authorization" {
            headers.insert("authorization", good.parse().unwrap());
        }
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        let peer = "127.0.0.1:4000".parse().unwrap();
        let refused = fixture
            .authn
            .authenticate(&headers, &http::Method::GET, peer, "id".into())
            .unwrap_err();
        assert!(refused.to_string().contains("more than once"), "{refused}");
    }
}

#[tokio::test]
async fn local_mode_is_for_loopback_only() {
    assert!(fixture(Mode::Required, "127.0.0.1:8080").await.call(&[]).is_err());
    assert!(fixture(Mode::Auto, "0.0.0.0:8080").await.call(&[]).is_err());
    let fixture = fixture(Mode::Auto, "[::1]:8080").await;
    assert!(fixture.call(&[("cookie", "unset".to_owned())]).is_ok(), "v1's CLI sends this");
}

#[test]
fn only_a_public_key_of_decent_size_is_taken() {
    check_public_key(&STANDARD.encode(PUBLIC)).unwrap();
    let private = check_public_key(&STANDARD.encode(PRIVATE)).unwrap_err().to_string();
    assert!(private.contains("PUBLIC KEY"), "{private}");
    assert!(check_public_key("not base64!").is_err());
    let cut: String = PUBLIC.lines().take(3).collect::<Vec<_>>().join("\n");
    assert!(check_public_key(&STANDARD.encode(cut)).is_err());
}

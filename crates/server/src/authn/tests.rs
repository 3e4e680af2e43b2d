//! Authentication against a real store, with tokens signed here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_model::service_account::{ServiceAccount, ServiceAccountSpec};
use dispatch_model::{Name, Resource, State, Tags};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;

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
    let spec = ServiceAccountSpec { public_key: STANDARD.encode(PUBLIC), domain: None };
    let (org, name) = (OrgName::new("acme").unwrap(), Name::new("ci").unwrap());
    let account: Resource<ServiceAccount> =
        Resource::new(org, name, Tags::new(), State::Ready, spec);
    store.insert(&account).await.unwrap();
    let authorizer = Authorizer::load(&store).await.unwrap();
    let settings = Settings { mode, ..Settings::default() };
    let bootstrap = Bootstrap::load(folder.path(), "boot", &STANDARD.encode(PUBLIC)).unwrap();
    let api = api.parse().unwrap();
    let authn = Authn::load(&store, authorizer, settings, bootstrap, api).await.unwrap();
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
        self.authn.authenticate(&map.collect(), peer, "id".into())
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

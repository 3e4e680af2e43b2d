//! Each place credentials can be in, and which is asked first.

use std::collections::HashMap;
use std::fs;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};

use super::*;

type Variables = HashMap<&'static str, String>;

fn variables(pairs: &[(&'static str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn of(variables: &Variables) -> impl Fn(&str) -> Option<String> {
    |name| variables.get(name).cloned()
}

fn plain(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: id.to_owned(),
        secret_access_key: secret.to_owned(),
        session_token: token.map(str::to_owned),
    }
}

/// Neither shows a secret in a failure.
fn same(found: Option<Credentials>, wanted: &Credentials) {
    assert!(found.as_ref() == Some(wanted), "{:?}", found.map(|found| found.access_key_id));
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[test]
fn the_environment_has_a_whole_key_or_none() {
    let mut set = variables(&[("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S")]);
    same(environment(of(&set)), &plain("A", "S", None));
    set.insert("AWS_SESSION_TOKEN", "T".to_owned());
    same(environment(of(&set)), &plain("A", "S", Some("T")));
    set.remove("AWS_SECRET_ACCESS_KEY");
    assert!(environment(of(&set)).is_none());
}

#[test]
fn profiles_are_read_from_the_shared_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    let text = "# ours\n[default]\naws_access_key_id = D\naws_secret_access_key=S/1=\n\
                region = eu-central-1\n\n[ shop ]\naws_access_key_id=A\n\
                aws_secret_access_key = T\naws_session_token = U\n[empty]\n";
    fs::write(&file, text).unwrap();
    let place = file.display().to_string();
    let mut set = variables(&[("AWS_SHARED_CREDENTIALS_FILE", &place)]);
    same(profile::read(None, of(&set)).unwrap(), &plain("D", "S/1=", None));
    same(profile::read(Some("shop"), of(&set)).unwrap(), &plain("A", "T", Some("U")));
    for name in ["empty", "other"] {
        let error = profile::read(Some(name), of(&set)).map(drop).unwrap_err();
        assert!(error.contains(name) && error.contains(&place), "{error}");
    }
    set.insert("AWS_PROFILE", "shop".to_owned());
    same(profile::read(None, of(&set)).unwrap(), &plain("A", "T", Some("U")));
    let none = variables(&[("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")]);
    assert!(profile::read(None, of(&none)).unwrap().is_none());
    assert!(profile::read(Some("shop"), of(&none)).is_err());
}

const ROLE: &str = r#"{"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T",
    "Expiration": "2099-01-01T00:00:00Z", "Code": "Success"}"#;

#[tokio::test]
async fn a_container_asks_with_its_token() {
    let asked = |headers: HeaderMap| async move {
        match headers.get("authorization").is_some_and(|token| token == "let me in") {
            true => (StatusCode::OK, ROLE),
            false => (StatusCode::FORBIDDEN, "S"),
        }
    };
    let url = serve(Router::new().route("/role", get(asked))).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "let me in\n").unwrap();
    let http = reqwest::Client::new();
    let url = format!("{url}/role");
    let mut set = variables(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]);
    let error = metadata::container(&http, of(&set)).await.map(drop).unwrap_err();
    assert!(error.contains("403") && error.contains(&url), "{error}");
    set.insert("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.display().to_string());
    let found = metadata::container(&http, of(&set)).await.unwrap().unwrap();
    assert!(found.ends.is_some_and(|ends| ends > Utc::now()));
    same(Some(found.credentials), &plain("A", "S", Some("T")));
    assert!(metadata::container(&http, of(&variables(&[]))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_machine_asks_for_a_token_first() {
    let ours = |headers: &HeaderMap| {
        headers.get("x-aws-ec2-metadata-token").is_some_and(|token| token == "token")
    };
    let token = |headers: HeaderMap| async move {
        assert!(headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds"));
        "token"
    };
    let names = move |headers: HeaderMap| async move {
        if ours(&headers) { (StatusCode::OK, "shop") } else { (StatusCode::UNAUTHORIZED, "") }
    };
    let role = move |headers: HeaderMap| async move {
        if ours(&headers) { (StatusCode::OK, ROLE) } else { (StatusCode::UNAUTHORIZED, "") }
    };
    let base = "/latest/meta-data/iam/security-credentials";
    let router = Router::new()
        .route("/latest/api/token", put(token))
        .route(&format!("{base}/"), get(names))
        .route(&format!("{base}/shop"), get(role));
    let url = serve(router).await;
    let http = reqwest::Client::new();
    let mut set = variables(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]);
    let found = metadata::machine(&http, of(&set)).await.unwrap().unwrap();
    same(Some(found.credentials), &plain("A", "S", Some("T")));
    set.insert("AWS_EC2_METADATA_DISABLED", "true".to_owned());
    assert!(metadata::machine(&http, of(&set)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_engines_own_key_comes_first_and_out_of_memory() {
    let given = plain("G", "S", None);
    let source = Arc::new(Source::new(Some(given.clone()), None, reqwest::Client::new()));
    let held = source.current().await.unwrap();
    same(Some(held.credentials.clone()), &given);
    assert!(Arc::ptr_eq(&held, &source.current().await.unwrap()));
}

#[tokio::test]
async fn credentials_that_end_are_found_again() {
    let given = plain("G", "S", None);
    let source = Arc::new(Source::new(Some(given.clone()), None, reqwest::Client::new()));
    let at = |seconds| {
        Some(Arc::new(Held {
            credentials: plain("OLD", "S", None),
            ends: Some(Utc::now() + chrono::Duration::seconds(seconds)),
        }))
    };
    source.held.store(at(3600));
    assert_eq!(source.current().await.unwrap().credentials.access_key_id, "OLD");
    // Soon: the old ones are used while others are fetched.
    source.held.store(at(60));
    assert_eq!(source.current().await.unwrap().credentials.access_key_id, "OLD");
    let fresh = async {
        while source.held.load_full().is_some_and(|held| held.credentials != given) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), fresh).await.unwrap();
    source.held.store(at(-1));
    same(Some(source.current().await.unwrap().credentials.clone()), &given);
}

//! The Vault adapter: what is read, how it signs in, which node it asks, and what it never does.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_adapters::secret_store::Settings;
use dispatch_driver::secret_store::SecretCredentials;
use dispatch_driver::{
    Error, Fault, Result, SecretRead, SecretReference, SecretStore, SecretValues,
};
use dispatch_systems::vault::{ACCOUNT, MOUNT, Mode, ROLE, ROLE_ID, SECRET_ID, Vault};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const CANARY: &str = "c4n4ry-of-the-vault";

struct Given(Vec<(&'static str, String)>);

#[async_trait]
impl SecretCredentials for Given {
    async fn read(&self) -> Result<SecretValues> {
        let own =
            |(key, value): &(&str, String)| ((*key).to_owned(), Zeroizing::new(value.clone()));
        Ok(self.0.iter().map(own).collect())
    }
}

fn made(vault: &Vault, nodes: &[usize], more: Value, given: Given) -> Arc<dyn SecretStore> {
    let addresses: Vec<String> = nodes.iter().map(|node| vault.url(*node)).collect();
    let mut settings = json!({"type": "vault", "addresses": addresses, "mount": MOUNT,
        "timeout_ms": 500});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: Settings = serde_json::from_value(settings).unwrap();
    settings.make(Some(Arc::new(given))).unwrap()
}

fn by_token(vault: &Vault, nodes: &[usize]) -> Arc<dyn SecretStore> {
    made(vault, nodes, json!({}), Given(vec![("token", vault.token(Duration::ZERO))]))
}

fn by_role(vault: &Vault) -> Arc<dyn SecretStore> {
    let role = vec![("role_id", ROLE_ID.to_owned()), ("secret_id", SECRET_ID.to_owned())];
    made(vault, &[0], json!({"auth": "approle"}), Given(role))
}

async fn read(
    store: &Arc<dyn SecretStore>,
    path: &str,
    version: Option<u64>,
) -> Result<SecretRead> {
    store.read(&SecretReference { path: path.to_owned(), version }).await
}

fn texts(read: &SecretRead) -> Vec<(&str, &str)> {
    read.values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

async fn failure(store: &Arc<dyn SecretStore>, path: &str, version: Option<u64>) -> Error {
    let error = read(store, path, version).await.err().expect("it is not given");
    assert!(!error.message.contains(CANARY) && !error.message.contains("127.0.0.1"), "{error}");
    assert_eq!(error.code, "SECRET003");
    error
}

#[tokio::test]
async fn versions_are_read_and_what_is_gone_is_said_so() {
    let vault = Vault::start(1).await;
    vault.put("a/db", json!({"password": CANARY, "port": 5432, "hosts": ["x"]}));
    assert_eq!(vault.put("a/db", json!({"password": "second"})), 2);
    let store = by_token(&vault, &[0]);
    let newest = read(&store, "a/db", None).await.unwrap();
    assert_eq!(texts(&newest), [("password", "second")]);
    assert_eq!(newest.version.as_deref(), Some("2"));
    let first = read(&store, "a/db", Some(1)).await.unwrap();
    let expected = [("hosts", r#"["x"]"#), ("password", CANARY), ("port", "5432")];
    assert_eq!(texts(&first), expected, "what is no text is given as JSON");
    vault.delete("a/db", 1, false);
    vault.delete("a/db", 2, true);
    for (path, version, words) in [
        ("a/db", Some(1), "version 1 was deleted"),
        ("a/db", None, "version 2 was destroyed"),
        ("a/db", Some(9), "nothing at its path"),
        ("a/none", None, "nothing at its path"),
    ] {
        let error = failure(&store, path, version).await;
        assert!(error.message.contains(words), "{error}");
        assert_eq!(error.fault, Fault::Caller, "what was read before is good no more");
    }
}

#[tokio::test]
async fn it_signs_in_once_and_renews() {
    let vault = Vault::start(1).await;
    vault.put("db", json!({"k": CANARY}));
    vault.set_login_life(Duration::from_secs(1));
    let store = by_role(&vault);
    let all = (0..20).map(|_| read(&store, "db", None));
    for read in futures::future::join_all(all).await {
        assert_eq!(texts(&read.unwrap()), [("k", CANARY)]);
    }
    assert_eq!((vault.logins(), vault.renewals()), (1, 0), "many sign in once");
    // Two thirds of its life are over at some time.
    let begun = std::time::Instant::now();
    while vault.renewals() == 0 {
        read(&store, "db", None).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not renewed");
    }
    assert_eq!(vault.logins(), 1);
    vault.set_login_life(Duration::from_secs(3_600));
    vault.revoke();
    read(&store, "db", None).await.unwrap();
    assert_eq!(vault.logins(), 2, "a revoked token is replaced");
    vault.set_allowed(false);
    let error = failure(&store, "db", None).await;
    assert!(error.message.contains("does not let this server"), "{error}");
    assert_eq!(error.fault, Fault::Caller);
}

#[tokio::test]
async fn a_pod_signs_in_by_its_account() {
    let vault = Vault::start(1).await;
    vault.put("db", json!({"k": CANARY}));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{ACCOUNT}").unwrap();
    let more = json!({"auth": "kubernetes", "role": ROLE, "token_file": file.path()});
    let store = made(&vault, &[0], more, Given(Vec::new()));
    read(&store, "db", None).await.unwrap();
    let more = json!({"auth": "kubernetes", "role": "another", "token_file": file.path()});
    let store = made(&vault, &[0], more, Given(Vec::new()));
    let error = failure(&store, "db", None).await;
    assert_eq!(error.fault, Fault::Backend, "the secret itself was not refused");
    assert!(!error.message.contains(ACCOUNT), "{error}");
}

#[tokio::test]
async fn another_node_is_asked_and_a_token_goes_nowhere_else() {
    let vault = Vault::start(3).await;
    vault.put("db", json!({"k": CANARY}));
    let good = async |store: &Arc<dyn SecretStore>| {
        assert_eq!(texts(&read(store, "db", None).await.unwrap()), [("k", CANARY)]);
    };
    // The first node asked is a standby, which names the active one.
    good(&by_token(&vault, &[1, 0])).await;
    // It names one that is not among the addresses.
    let error = failure(&by_token(&vault, &[1]), "db", None).await;
    assert!(error.message.contains("not among its addresses"), "{error}");
    for mode in [
        Mode::Sealed,
        Mode::Status(429),
        Mode::Status(472),
        Mode::Status(473),
        Mode::Status(500),
        Mode::Silent,
    ] {
        vault.set(2, mode);
        good(&by_token(&vault, &[2, 0])).await;
        let error = failure(&by_token(&vault, &[2]), "db", None).await;
        assert_eq!(error.fault, Fault::Backend, "{mode:?}");
        assert_eq!(error.message.contains("sealed"), mode == Mode::Sealed, "{error}");
    }
}

#[tokio::test]
async fn namespaces_and_bad_settings() {
    let vault = Vault::start(1).await;
    vault.put("db", json!({"k": CANARY}));
    vault.set_namespace("team");
    let given = || Given(vec![("token", vault.token(Duration::ZERO))]);
    let store = made(&vault, &[0], json!({"namespace": "team"}), given());
    read(&store, "db", None).await.unwrap();
    failure(&by_token(&vault, &[0]), "db", None).await;

    let refused = |settings: Value| {
        let settings: Settings = serde_json::from_value(settings).map_err(|e| e.to_string())?;
        settings.make(None).map(drop).map_err(|error| error.message)
    };
    let url = vault.url(0);
    for (settings, words) in [
        (json!({"type": "vault", "addresses": []}), "addresses"),
        (json!({"type": "vault", "addresses": ["ftp://x"]}), "ftp://x"),
        (json!({"type": "vault", "addresses": ["http://u:p@x"]}), "must be http"),
        (json!({"type": "vault", "addresses": [url]}), "credentials"),
        (json!({"type": "vault", "addresses": [url], "auth": "kubernetes"}), "role"),
        (json!({"type": "vault", "addresses": [url], "mount": ""}), "mount"),
        (json!({"type": "vault", "addresses": [url], "adress": "x"}), "adress"),
        (json!({"type": "etcd"}), "etcd"),
    ] {
        let said = refused(settings).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}

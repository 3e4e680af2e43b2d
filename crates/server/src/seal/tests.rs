//! Sealing: what opens, what must not, and what rotation leaves.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use dispatch_model::secret::Secret;

use super::*;

const CANARY: &str = "c4n4ry-value";

fn names() -> (OrgName, Name) {
    (OrgName::new("a").unwrap(), Name::new("s").unwrap())
}

fn values() -> BTreeMap<String, String> {
    BTreeMap::from([("password".to_owned(), CANARY.to_owned())])
}

#[test]
fn a_secret_opens_only_as_itself() {
    let seal = Seal::of(vec![RootKey::random()], None);
    let (org, name) = names();
    let sealed = seal.seal(&org, &name, &values()).unwrap();
    assert!(!serde_json::to_string(&sealed).unwrap().contains(CANARY));
    assert!(!format!("{seal:?}").contains(CANARY));
    let opened = seal.open_sealed(&org, &name, &sealed).unwrap();
    assert_eq!(opened["password"].as_str(), CANARY);
    let other = Name::new("other").unwrap();
    assert_eq!(seal.open_sealed(&org, &other, &sealed), Err(Error::Damaged));
    let org_b = OrgName::new("b").unwrap();
    assert_eq!(seal.open_sealed(&org_b, &name, &sealed), Err(Error::Damaged));
    let stranger = Seal::of(vec![RootKey::random()], None);
    assert_eq!(stranger.open_sealed(&org, &name, &sealed), Err(Error::UnknownRootKey));
    let twice = seal.seal(&org, &name, &values()).unwrap();
    assert_ne!(twice.ciphertext, sealed.ciphertext, "every sealing has its own key and nonce");
}

async fn store(folder: &Path) -> Store {
    let url = format!("sqlite:{}/t.db", folder.display());
    Store::open(&url, dispatch_store::Options::default()).await.unwrap()
}

async fn put(store: &Store, seal: &Seal) -> Sealed {
    use dispatch_model::secret::{Content, SecretSpec};
    use dispatch_model::{Resource, State, Tags};
    let (org, name) = names();
    let sealed = seal.seal(&org, &name, &values()).unwrap();
    let content = Content::Sealed(sealed.clone());
    let spec = SecretSpec { version: 1, made_by: String::new(), made_ms: None, content };
    let secret: Resource<Secret> = Resource::new(org, name, Tags::new(), State::Ready, spec);
    store.insert(&secret).await.unwrap();
    sealed
}

#[tokio::test]
async fn the_key_file_is_private_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, source) = (store(folder.path()).await, KeySource::default());
    let open = || Seal::open(folder.path(), &source, &store);
    let (org, name) = names();
    let sealed = open().await.unwrap().seal(&org, &name, &values()).unwrap();
    let file = folder.path().join("root.key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    open().await.unwrap().open_sealed(&org, &name, &sealed).unwrap();
    root_key::rotate(folder.path()).unwrap();
    let rotated = open().await.unwrap();
    rotated.open_sealed(&org, &name, &sealed).unwrap();
    assert_ne!(rotated.seal(&org, &name, &values()).unwrap().root_key_id, sealed.root_key_id);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = open().await.unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[tokio::test]
async fn a_lost_key_is_named_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (store, source) = (store(folder.path()).await, KeySource::default());
    let open = || Seal::open(folder.path(), &source, &store);
    let seal = open().await.unwrap();
    seal.adopt(&store).await.unwrap();
    let file = folder.path().join("root.key");
    std::fs::remove_file(&file).unwrap();
    let refused = format!("{:#}", open().await.unwrap_err());
    assert!(refused.contains("root.key"), "{refused}");
    assert!(!file.exists(), "another key is not what was lost");
    let other = STANDARD.encode(RootKey::random().bytes());
    root_key::replace(&file, &other).unwrap();
    let refused = open().await.unwrap_err().to_string();
    assert!(refused.contains(seal.keys()[0].id()) && refused.contains("SECRET002"), "{refused}");
}

/// A secret under the key that is returned, and a newer key before it.
async fn sealed_then_rotated(folder: &Path, store: &Store) -> Seal {
    let old = Seal::open(folder, &KeySource::default(), store).await.unwrap();
    old.adopt(store).await.unwrap();
    put(store, &old).await;
    root_key::rotate(folder).unwrap();
    old
}

#[tokio::test]
async fn rotation_rewraps_every_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (store, source) = (store(folder.path()).await, KeySource::default());
    let open = || Seal::open(folder.path(), &source, &store);
    use dispatch_model::audit::Sealer as _;
    let old = sealed_then_rotated(folder.path(), &store).await;
    let audited = old.audit_key(&store).await.unwrap().seal("words");
    let new = open().await.unwrap();
    assert_eq!(new.adopt(&store).await.unwrap(), 1);
    assert_eq!(new.adopt(&store).await.unwrap(), 0, "a repeat finds nothing to do");
    let key = STANDARD.encode(new.keys()[0].bytes());
    root_key::replace(&folder.path().join("root.key"), &key).unwrap();
    let only_new = open().await.expect("the old key is needed no more");
    assert!(only_new.audit_key(&store).await.unwrap().holds("words", &audited));
    let (org, name) = names();
    let stored = store.by_name::<Secret>(&org, &name).await.unwrap().unwrap();
    let sealed = stored.spec.content.sealed().unwrap();
    let opened = only_new.open_sealed(&org, &name, sealed).unwrap();
    assert_eq!(opened["password"].as_str(), CANARY);
}

/// A server that was killed between the new key and the last secret.
#[tokio::test]
async fn until_the_last_secret_is_rewrapped_no_key_may_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (store, source) = (store(folder.path()).await, KeySource::default());
    let open = || Seal::open(folder.path(), &source, &store);
    let old = sealed_then_rotated(folder.path(), &store).await;
    let both = open().await.unwrap();
    let ids = format!("{},{}", old.keys()[0].id(), both.keys()[0].id());
    store.setting_put(KEY_IDS, &ids).await.unwrap();
    for kept in both.keys().iter() {
        let file = folder.path().join("root.key");
        root_key::replace(&file, &STANDARD.encode(kept.bytes())).unwrap();
        open().await.expect_err("one of the two is missing");
    }
}

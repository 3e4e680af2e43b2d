//! Sealing: what opens, what must not, and what rotation leaves.

use std::os::unix::fs::PermissionsExt as _;

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
    let seal = Seal { keys: vec![RootKey::random()] };
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
    let stranger = Seal { keys: vec![RootKey::random()] };
    assert_eq!(stranger.open_sealed(&org, &name, &sealed), Err(Error::UnknownRootKey));
    let twice = seal.seal(&org, &name, &values()).unwrap();
    assert_ne!(twice.ciphertext, sealed.ciphertext, "every sealing has its own key and nonce");
}

#[test]
fn the_key_file_is_private_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let source = KeySource::default();
    let (org, name) = names();
    let sealed = Seal::open(folder.path(), &source).unwrap().seal(&org, &name, &values()).unwrap();
    let file = folder.path().join("root.key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    Seal::open(folder.path(), &source).unwrap().open_sealed(&org, &name, &sealed).unwrap();
    root_key::rotate(folder.path()).unwrap();
    let rotated = Seal::open(folder.path(), &source).unwrap();
    rotated.open_sealed(&org, &name, &sealed).unwrap();
    assert_ne!(rotated.seal(&org, &name, &values()).unwrap().root_key_id, sealed.root_key_id);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Seal::open(folder.path(), &source).unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[tokio::test]
async fn rotation_rewraps_every_secret() {
    use dispatch_model::secret::SecretSpec;
    use dispatch_model::{Resource, State, Tags};
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/t.db", folder.path().display());
    let store = Store::open(&url, dispatch_store::Options::default()).await.unwrap();
    let source = KeySource::default();
    let old = Seal::open(folder.path(), &source).unwrap();
    let (org, name) = names();
    let sealed = old.seal(&org, &name, &values()).unwrap();
    let secret: Resource<Secret> =
        Resource::new(org.clone(), name.clone(), Tags::new(), State::Ready, SecretSpec { sealed });
    store.insert(&secret).await.unwrap();
    root_key::rotate(folder.path()).unwrap();
    let new = Seal::open(folder.path(), &source).unwrap();
    old.check(&store).await.unwrap();
    new.check(&store).await.unwrap();
    let lost = Seal { keys: vec![RootKey::random()] };
    let refused = lost.check(&store).await.unwrap_err().to_string();
    assert!(refused.contains("root.key"), "{refused}");
    assert_eq!(new.reseal_all(&store).await.unwrap(), 1);
    assert_eq!(new.reseal_all(&store).await.unwrap(), 0, "a repeat finds nothing to do");
    let only_new = Seal { keys: new.keys.into_iter().take(1).collect() };
    let stored = store.by_name::<Secret>(&org, &name).await.unwrap().unwrap();
    let opened = only_new.open_sealed(&org, &name, &stored.spec.sealed).unwrap();
    assert_eq!(opened["password"].as_str(), CANARY);
}

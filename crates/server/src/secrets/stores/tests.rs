//! Which organization may read what, whatever a secret says.

use dispatch_driver::Result as DriverResult;

use super::*;

struct Unread;

impl OpenSealed for Unread {
    fn open_sealed(
        &self,
        _: &OrgName,
        _: &Name,
        _: &dispatch_model::secret::Sealed,
    ) -> anyhow::Result<SecretValues> {
        anyhow::bail!("no test of this room opens one")
    }
}

/// Gives the path it is asked for.
struct Paths;

#[async_trait]
impl SecretStore for Paths {
    async fn read(&self, reference: &SecretReference) -> DriverResult<SecretRead> {
        let value = |text: &str| zeroize::Zeroizing::new(text.to_owned());
        let values = SecretValues::from([
            ("path".to_owned(), value(&reference.path)),
            ("other".to_owned(), value("x")),
        ]);
        Ok(SecretRead { values, version: None, lease: None })
    }
}

fn open(organizations: &[&str], place: &str) -> Open {
    let organizations = organizations.iter().map(|&org| org.to_owned()).collect();
    Open { kind: StoreKind::Vault, organizations, place: place.to_owned(), store: Arc::new(Paths) }
}

/// One store that is open to all.
pub fn with(name: &str, store: Arc<dyn SecretStore>) -> Stores {
    let open = Open { store, ..open(&["*"], "d/{organization}") };
    Stores(BTreeMap::from([(name.to_owned(), open)]))
}

fn stores() -> Stores {
    Stores(BTreeMap::from([
        ("all".to_owned(), open(&["*"], "d/{organization}")),
        ("mine".to_owned(), open(&["a"], "only/mine")),
        ("shut".to_owned(), open(&[], "x")),
    ]))
}

fn source(store: &str, path: &str) -> Source {
    Source {
        kind: StoreKind::Vault,
        store: store.to_owned(),
        path: path.to_owned(),
        version: None,
        keys: BTreeMap::new(),
        cache_s: None,
    }
}

fn org(name: &str) -> OrgName {
    OrgName::new(name).unwrap()
}

#[tokio::test]
async fn each_organization_reads_below_its_own_place() {
    let stores = stores();
    let path = async |who: &str, store: &str| {
        let read = stores.read(&org(who), &source(store, "db/x"), Duration::from_secs(5)).await;
        read.map(|read| read.values["path"].to_string()).map_err(|error| error.message)
    };
    assert_eq!(path("a", "all").await.unwrap(), "d/a/db/x");
    assert_eq!(path("b", "all").await.unwrap(), "d/b/db/x");
    assert_eq!(path("a", "mine").await.unwrap(), "only/mine/db/x");
    let refused = path("b", "mine").await.unwrap_err();
    assert_eq!(refused, path("b", "none").await.unwrap_err().replace("none", "mine"));
    assert!(refused.contains("its stores are: all"), "{refused}");
    path("a", "shut").await.unwrap_err();
    let kubernetes = Source { kind: StoreKind::Kubernetes, ..source("all", "db") };
    assert_eq!(stores.permitted(&org("a"), &kubernetes).err().unwrap().field, "source.type");
}

#[tokio::test]
async fn keys_are_chosen_and_renamed() {
    let stores = stores();
    let read = async |key: &str| {
        let keys = BTreeMap::from([(key.to_owned(), "NAME".to_owned())]);
        let source = Source { keys, ..source("mine", "db") };
        stores.read(&org("a"), &source, Duration::from_secs(5)).await
    };
    let chosen = read("path").await.unwrap().values;
    let texts: Vec<_> = chosen.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert_eq!(texts, [("NAME", "only/mine/db")]);
    let error = read("absent").await.err().unwrap();
    assert!(error.message.contains("absent") && !error.message.contains("mine/db"), "{error}");
}

async fn opened(text: &str) -> anyhow::Result<Stores> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/t.db", folder.path().display());
    let store = Store::open(&url, dispatch_store::Options::default()).await.unwrap();
    let file = folder.path().join("stores.toml");
    std::fs::write(&file, text).unwrap();
    let seal: Arc<dyn OpenSealed> = Arc::new(Unread);
    Stores::open(&file, &store, &seal, crate::boot::secret_stores::make)
}

const VAULT: &str = "type = \"vault\"\naddresses = [\"http://v:8200\"]\ncredentials = \"login\"\n";

#[tokio::test]
async fn a_file_of_stores_is_read_and_its_faults_are_named() {
    let good = format!("[corp]\n{VAULT}organizations = [\"*\"]\n");
    assert!(opened(&good).await.unwrap().0.contains_key("corp"));
    for (more, words) in [
        ("organizations = [\"*\"]\nprefix = \"shared\"", "{organization}"),
        ("organizations = [\"a\", \"b\"]\nprefix = \"shared\"", "{organization}"),
        ("organizations = [\"a\"]\nprefix = \"../{organization}\"", "prefix"),
        ("organizations = \"a\"", "organizations"),
        ("organisations = [\"a\"]", "organisations"),
        ("namespace = 7", "namespace"),
    ] {
        let error = opened(&format!("[corp]\n{VAULT}{more}\n")).await.err().expect(more);
        let error = format!("{error:#}");
        assert!(error.contains("[corp]") && error.contains(words), "{error}");
    }
    let one = format!("[corp]\n{VAULT}organizations = [\"a\"]\nprefix = \"shared\"\n");
    opened(&one).await.unwrap();
    opened("x = 1").await.err().expect("it is no store");
    opened("[\"../x\"]\ntype = \"vault\"").await.err().expect("it is no name");
    opened("[a]\ntype = \"s3\"").await.err().expect("it is no type");
}

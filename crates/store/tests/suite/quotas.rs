//! Quotas hold in the transaction that stores something, also when many want the last room at once.

use dispatch_model::api::{Api, ApiSpec};
use dispatch_model::function::{Function, SourceRef};
use dispatch_model::organization::{Organization, OrganizationSpec};
use dispatch_model::quota::{Exceeded, Limit, Quota};
use dispatch_model::secret::{Content, Sealed, Secret, SecretSpec};
use dispatch_model::{Resource, State, Tags};
use dispatch_store::{Error, Store};

use crate::{function, name, on_both, org};

async fn organization(store: &Store, called: &str, quota: Quota) -> Resource<Organization> {
    let spec = OrganizationSpec { quota, ..OrganizationSpec::default() };
    let made = Resource::new(org(called), name(called), Tags::new(), State::Ready, spec);
    store.insert(&made).await.unwrap();
    made
}

fn api(called: &str, uris: &[&str], hosts: &[&str]) -> Resource<Api> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let spec = ApiSpec {
        function: "f".to_owned(),
        methods: Vec::new(),
        uris: owned(uris),
        hosts: owned(hosts),
        protocols: Vec::new(),
        authentication: "public".to_owned(),
        enabled: true,
        cors: false,
        tls: None,
    };
    Resource::new(org("a"), name(called), Tags::new(), State::Creating, spec)
}

fn with_source(called: &str, digest: &str) -> Resource<Function> {
    let mut function = function("a", called);
    function.spec.source = Some(SourceRef { digest: digest.to_owned(), size: 0 });
    function
}

fn secret(called: &str, bytes: usize) -> Resource<Secret> {
    let text = String::new;
    let sealed = Sealed {
        root_key_id: text(),
        wrapped_key: text(),
        wrap_nonce: text(),
        nonce: text(),
        ciphertext: "x".repeat(bytes),
    };
    let content = Content::Sealed(sealed);
    let spec = SecretSpec { version: 1, made_by: text(), made_ms: None, content };
    Resource::new(org("a"), name(called), Tags::new(), State::Ready, spec)
}

fn exceeded<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Exceeded {
    match outcome {
        Err(Error::Quota(exceeded)) => exceeded,
        other => panic!("{other:?}"),
    }
}

on_both!(of_many_who_want_the_last_room_as_many_get_it_as_there_is, |store| {
    let quota = Quota { functions: Some(3), ..Quota::default() };
    organization(&store, "a", quota).await;
    organization(&store, "b", Quota::default()).await;
    let all = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(
            async move { store.insert_in_organization(&function("a", &format!("f{n}"))).await },
        )
    });
    let (mut stored, mut refused) = (0, 0);
    for one in all.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(()) => stored += 1,
            Err(Error::Quota(Exceeded { limit: Limit::Functions, most: 3, used: 3, .. })) => {
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((stored, refused), (3, 9));
    store.insert_in_organization(&function("b", "f0")).await.unwrap();
});

on_both!(what_is_deleted_makes_room_and_a_lowered_limit_takes_nothing_away, |store| {
    let quota = Quota { functions: Some(2), ..Quota::default() };
    let mut made = organization(&store, "a", quota).await;
    let (mut f, g) = (function("a", "f"), function("a", "g"));
    store.insert_in_organization(&f).await.unwrap();
    store.insert_in_organization(&g).await.unwrap();
    made.spec.quota.functions = Some(1);
    store.update(&mut made).await.unwrap();
    store.update_in_organization(&mut f).await.unwrap();
    store.remove(&g).await.unwrap();
    let full = exceeded(store.insert_in_organization(&g).await);
    assert_eq!((full.most, full.used), (1, 1));
    store.remove(&f).await.unwrap();
    store.insert_in_organization(&g).await.unwrap();
});

on_both!(routes_are_counted_when_an_api_is_made_and_when_it_grows, |store| {
    let quota = Quota { routes: Some(4), ..Quota::default() };
    organization(&store, "a", quota).await;
    let mut first = api("first", &["/a", "/b"], &[]);
    store.insert_in_organization(&first).await.unwrap();
    let full =
        exceeded(store.insert_in_organization(&api("second", &["/c"], &["x", "y", "z"])).await);
    assert_eq!((full.limit, full.used), (Limit::Routes, 2));
    store.insert_in_organization(&api("second", &["/c"], &["x", "y"])).await.unwrap();
    first.spec.uris.push("/d".to_owned());
    assert_eq!(exceeded(store.update_in_organization(&mut first).await).used, 4);
    first.spec.uris.truncate(1);
    store.update_in_organization(&mut first).await.unwrap();
});

on_both!(storage_counts_each_source_once_and_secrets, |store| {
    let quota = Quota { storage_bytes: Some(5_000), ..Quota::default() };
    organization(&store, "a", quota).await;
    for (digest, size) in [("sha256:one", 3_000), ("sha256:two", 1_500)] {
        store.blob_put(digest, &vec![1; size]).await.unwrap();
    }
    store.insert_in_organization(&with_source("f", "sha256:one")).await.unwrap();
    store.insert_in_organization(&with_source("g", "sha256:one")).await.unwrap();
    let mut h = with_source("h", "sha256:two");
    store.insert_in_organization(&h).await.unwrap();
    let full = exceeded(store.insert_in_organization(&secret("s", 1_000)).await);
    assert_eq!((full.limit, full.used), (Limit::StorageBytes, 4_500));
    h.spec.source = None;
    store.update_in_organization(&mut h).await.unwrap();
    let mut s = secret("s", 1_000);
    store.insert_in_organization(&s).await.unwrap();
    s.spec = secret("s", 5_000).spec;
    exceeded(store.update_in_organization(&mut s).await);
    let stored = store.usage_storage().await.unwrap();
    assert!((4_000..4_500).contains(&stored["a"]), "{stored:?}");
    // A version that is kept takes its room, too.
    s.spec = SecretSpec { version: 2, ..secret("s", 100).spec };
    store.update_in_organization(&mut s).await.unwrap();
    let with_both = store.usage_storage().await.unwrap()["a"];
    assert!(with_both > stored["a"] + 100, "{with_both}");
    s.spec = SecretSpec { version: 3, ..secret("s", 900).spec };
    let full = exceeded(store.update_in_organization(&mut s).await);
    assert_eq!(full.used, with_both, "quota and usage count alike");
});

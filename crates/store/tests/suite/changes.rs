//! The change log, blobs and settings.

use std::time::Duration;

use dispatch_model::function::{FunctionSpec, SourceRef};
use dispatch_model::function_version::{FunctionVersion, FunctionVersionSpec, version_name};
use dispatch_model::{Resource, ResourceKind, State, Tags};
use dispatch_store::{Op, Options, Store};

use crate::{function, name, on_both, org, postgres, subjects_with};

on_both!(every_change_is_logged_and_signalled, |store| {
    let mut signals = store.changes();
    let mut made = function("a", "f");
    store.insert(&made).await.unwrap();
    store.insert(&function("b", "g")).await.unwrap();
    store.update(&mut made).await.unwrap();
    store.remove(&made).await.unwrap();
    let log = store.changes_since(Some(&org("a")), &[], 0, 100).await.unwrap();
    let ops: Vec<_> = log.iter().map(|change| change.op).collect();
    assert_eq!(ops, [Op::Inserted, Op::Updated, Op::Removed]);
    assert!(log.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let all = store.changes_since(None, &[ResourceKind::Function], 0, 100).await.unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(store.last_change().await.unwrap(), all[3].seq);
    for expected in &all {
        assert_eq!(&signals.recv().await.unwrap(), expected);
    }
    let later = store.changes_since(None, &[], all[1].seq, 1).await.unwrap();
    assert_eq!(later, all[2..3]);
    assert_eq!(store.trim_changes(1).await.unwrap(), 3);
    assert_eq!(store.changes_since(None, &[], 0, 100).await.unwrap(), all[3..]);
});

on_both!(blobs_and_settings_are_kept, |store| {
    let bytes = vec![0, 255, 7];
    store.blob_put("sha256:aa", &bytes).await.unwrap();
    store.blob_put("sha256:aa", &bytes).await.unwrap();
    assert_eq!(store.blob_get("sha256:aa").await.unwrap(), Some(bytes));
    assert_eq!(store.blob_get("sha256:bb").await.unwrap(), None);
    assert_eq!(store.blob_collect().await.unwrap(), 0, "a young blob may be about to be used");
    store.setting_put("a", "1").await.unwrap();
    store.setting_put("a", "2").await.unwrap();
    assert_eq!(store.setting_get("a").await.unwrap().as_deref(), Some("2"));
    assert_eq!(store.setting_get("b").await.unwrap(), None);
    store.ping().await.unwrap();
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_go_when_no_function_needs_them() {
    for subject in subjects_with(Options { unused_blob_ms: 0, ..Options::default() }).await {
        let store = &subject.store;
        for digest in ["sha256:aa", "sha256:bb", "sha256:cc"] {
            store.blob_put(digest, b"source").await.unwrap();
        }
        let source = |digest: &str| Some(SourceRef { digest: digest.into(), size: 6 });
        let mut user = function("a", "f");
        user.spec.source = source("sha256:aa");
        store.insert(&user).await.unwrap();
        // Versions go on needing theirs.
        let spec = FunctionSpec { source: source("sha256:bb"), ..user.spec.clone() };
        let spec = FunctionVersionSpec { function: "f".into(), spec, ..Default::default() };
        let version_name = version_name(&name("f"), 1);
        let version = Resource::<FunctionVersion>::new(
            org("a"),
            version_name,
            Tags::new(),
            State::Ready,
            spec,
        );
        store.insert(&version).await.unwrap();
        assert_eq!(store.blob_collect().await.unwrap(), 1);
        assert!(store.blob_get("sha256:cc").await.unwrap().is_none());
        store.remove(&version).await.unwrap();
        assert_eq!(store.blob_collect().await.unwrap(), 1);
        assert!(store.blob_get("sha256:aa").await.unwrap().is_some());
        store.remove(&user).await.unwrap();
        assert_eq!(store.blob_collect().await.unwrap(), 1);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_on_one_postgresql_hear_of_each_others_changes() {
    let Some(server) = postgres() else { return };
    let url = server.database().await;
    let here = Store::open(&url, Options::default()).await.unwrap();
    let there = Store::open(&url, Options::default()).await.unwrap();
    let (mut heard_here, mut heard_there) = (here.changes(), there.changes());
    here.insert(&function("a", "f")).await.unwrap();
    there.insert(&function("a", "g")).await.unwrap();
    for heard in [&mut heard_here, &mut heard_there] {
        for expected in ["f", "g"] {
            let change = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await;
            assert_eq!(change.unwrap().unwrap().name.as_str(), expected);
        }
    }
    here.close().await;
    there.close().await;
}

//! The change log, blobs and settings.

use dispatch_model::ResourceKind;
use dispatch_store::Op;

use crate::{function, on_both, org};

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

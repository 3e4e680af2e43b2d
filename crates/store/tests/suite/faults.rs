//! What is left after an unclean end, and what a full disk does.

use dispatch_model::function::Function;
use dispatch_store::{Error, Options, Store};

use crate::{function, name, org, run_of, subjects};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_drop_without_close() {
    for subject in subjects().await {
        let run = run_of("a", "f");
        subject.store.insert(&function("a", "f")).await.unwrap();
        subject.store.run_accept(&run, None, None).await.unwrap();
        // A second handle on the same database, as a new process would open it.
        let again = Store::open(&subject.url, Options::default()).await.unwrap();
        assert!(again.by_name::<Function>(&org("a"), &name("f")).await.unwrap().is_some());
        assert!(again.run_get(&org("a"), run.id).await.unwrap().is_some());
        again.close().await;
    }
}

/// SQLite's own limit on pages behaves like a full disk: SQLITE_FULL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_refuses_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let limited = Options { max_pages: Some(200), ..Options::default() };
    let url = format!("sqlite:{}/full.db", folder.path().display());
    let store = Store::open(&url, limited).await.unwrap();
    store.insert(&function("a", "kept")).await.unwrap();
    let big = vec![7_u8; 2 << 20];
    assert!(matches!(store.blob_put("sha256:big", &big).await, Err(Error::Full)));
    let mut refused = false;
    for _ in 0..5_000 {
        if let Err(error) = store.run_accept(&run_of("a", "f"), None, None).await {
            assert!(matches!(error, Error::Full), "{error}");
            refused = true;
            break;
        }
    }
    assert!(refused, "the limit was never met");
    assert!(store.by_name::<Function>(&org("a"), &name("kept")).await.unwrap().is_some());
    store.close().await;
}

//! What is left after an unclean end, and what a full disk does.

use std::time::{Duration, Instant};

use dispatch_model::function::Function;
use dispatch_store::testing::SmallDisk;
use dispatch_store::{Error, Options, Store};
use sqlx::{Connection, SqliteConnection};

use crate::{ended, function, name, org, run_of, subjects};

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
    let limited = Options { max_pages: Some(100), ..Options::default() };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_recorded_while_the_disk_is_full_are_written_when_it_has_room() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let url = format!("sqlite:{}/small.db", disk.path().display());
    let store = Store::open(&url, Options::default()).await.unwrap();
    disk.fill();
    let runs: Vec<_> = (0..500).map(|_| ended(run_of("a", "f"))).collect();
    for run in &runs {
        store.run_record(run).await;
    }
    let refused = store.run_accept(&run_of("a", "f"), None, None).await;
    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    let stats = store.run_writer_stats();
    assert!(stats.failures > 0 && stats.last_error.is_some() && stats.lost == 0, "{stats:?}");
    disk.free();
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.flush().await.is_err() {
        assert!(Instant::now() < deadline, "still failing with room on the disk");
    }
    for run in &runs {
        assert!(store.run_get(&org("a"), run.id).await.unwrap().is_some());
    }
    assert_eq!(store.run_writer_stats().queued, 0);
    store.close().await;
}

/// While the writer is held up, memory stays bounded and callers wait a bounded time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_without_room_gives_up_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/held.db", folder.path().display());
    let small = Options { run_queue: 8, ..Options::default() };
    let store = Store::open(&url, small).await.unwrap();
    let mut holder = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    let began = Instant::now();
    for _ in 0..10 {
        store.run_record(&ended(run_of("a", "f"))).await;
    }
    assert!(began.elapsed() < Duration::from_secs(8), "two had to wait, a second each");
    assert_eq!(store.run_writer_stats().lost, 2);
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    store.flush().await.unwrap();
    let stats = store.run_writer_stats();
    assert_eq!((stats.written, stats.lost, stats.queued), (8, 2, 0));
    store.close().await;
}

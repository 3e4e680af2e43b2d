//! How long what was read is used, and what happens when it cannot be read again. Time is paused.

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use dispatch_driver::secret_store::{failed, refused};
use dispatch_driver::{Error, SecretRead, SecretReference, SecretStore, SecretValues};
use dispatch_model::secret::{Content, Source, StoreKind};
use zeroize::Zeroizing;

use super::super::stores::tests::with;
use super::super::{SecretMetrics, Settings};
use super::*;

const CANARY: &str = "c4n4ry-value";

/// Gives its number of readings, or an error.
#[derive(Default)]
struct Counted {
    reads: AtomicUsize,
    error: std::sync::Mutex<Option<Error>>,
    lease: Option<Duration>,
    takes: Duration,
}

#[async_trait]
impl SecretStore for Counted {
    async fn read(&self, _: &SecretReference) -> dispatch_driver::Result<SecretRead> {
        tokio::time::sleep(self.takes).await;
        let read = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(error) = self.error.lock().unwrap().clone() {
            return Err(error);
        }
        let value = Zeroizing::new(format!("{CANARY} {read}"));
        let values = SecretValues::from([("k".to_owned(), value)]);
        Ok(SecretRead { values, version: Some(read.to_string()), lease: self.lease })
    }
}

impl Counted {
    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn fails(&self, error: Option<Error>) {
        *self.error.lock().unwrap() = error;
    }
}

fn cached(store: &Arc<Counted>) -> Arc<Cached> {
    let settings =
        Settings { cache_s: 60, max_stale_s: 300, retry_ms: 5_000, ..Settings::default() };
    let metrics = SecretMetrics::register(&mut Default::default());
    let secrets = Arc::new(Secrets {
        seal: Arc::new(crate::invoke::testing::Unsealed),
        stores: with("corp", store.clone()),
        settings,
        metrics,
    });
    let source = Source {
        kind: StoreKind::Vault,
        store: "corp".to_owned(),
        path: "db".to_owned(),
        version: None,
        keys: Default::default(),
        cache_s: None,
    };
    let content = Content::Source(source);
    let spec = SecretSpec { version: 7, made_by: String::new(), made_ms: None, content };
    let (org, name) = (OrgName::trusted("a"), Name::trusted("db"));
    Arc::new(Cached::new(&secrets, &org, &name, &spec).unwrap())
}

async fn version(cached: &Arc<Cached>) -> Result<String, OpenError> {
    let opened = cached.get().await?;
    assert_eq!((opened.used.version, opened.used.name.as_str()), (7, "db"));
    Ok(opened.used.source_version.clone().unwrap())
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn many_uses_are_one_reading_and_the_next_is_in_the_background() {
    let store = Arc::new(Counted { takes: Duration::from_secs(1), ..Counted::default() });
    let cached = cached(&store);
    let all = futures::future::join_all((0..50).map(|_| version(&cached))).await;
    assert!(all.into_iter().all(|version| version.unwrap() == "1"));
    assert_eq!(store.reads(), 1);
    pass(43).await;
    assert_eq!(version(&cached).await.unwrap(), "1");
    pass(2).await;
    // Three quarters of its time are over: it is used, and read again beside.
    assert_eq!(version(&cached).await.unwrap(), "1");
    assert_eq!(store.reads(), 1);
    pass(2).await;
    assert_eq!((version(&cached).await.unwrap().as_str(), store.reads()), ("2", 2));
    // Nobody uses it: nobody reads it, and its time ends.
    pass(61).await;
    assert_eq!((store.reads(), version(&cached).await.unwrap().as_str()), (2, "3"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_borne_for_a_bounded_time() {
    let store = Arc::new(Counted::default());
    let cached = cached(&store);
    assert_eq!(version(&cached).await.unwrap(), "1");
    store.fails(Some(failed("away")));
    pass(61).await;
    assert_eq!(version(&cached).await.unwrap(), "1", "past its time, but better than nothing");
    assert_eq!(store.reads(), 2);
    for _ in 0..100 {
        version(&cached).await.unwrap();
    }
    assert_eq!(store.reads(), 2, "it is left alone for a while");
    pass(298).await;
    assert_eq!(version(&cached).await.unwrap(), "1");
    pass(2).await;
    let error = version(&cached).await.unwrap_err();
    assert!(!error.is_final);
    assert_eq!(error.to_string(), "SECRET003: secret db was not read from store corp: away");
    store.fails(None);
    pass(6).await;
    version(&cached).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_is_used_no_more() {
    let store = Arc::new(Counted::default());
    let cached = cached(&store);
    version(&cached).await.unwrap();
    store.fails(Some(refused("deleted there")));
    pass(50).await;
    // It is still good, and found gone by the reading beside.
    version(&cached).await.unwrap();
    pass(1).await;
    let error = version(&cached).await.unwrap_err();
    assert!(error.is_final && error.to_string().contains("deleted there"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_it_earlier() {
    let lease = Some(Duration::from_secs(10));
    let store = Arc::new(Counted { lease, ..Counted::default() });
    let cached = cached(&store);
    version(&cached).await.unwrap();
    store.fails(Some(failed("away")));
    pass(11).await;
    version(&cached).await.expect_err("its store lets nobody use it any longer");
}

/// A reading that never ends keeps those only who have nothing.
#[tokio::test(start_paused = true)]
async fn who_has_old_values_does_not_wait() {
    let store = Arc::new(Counted { takes: Duration::from_secs(8), ..Counted::default() });
    let cached = cached(&store);
    version(&cached).await.unwrap();
    pass(61).await;
    let reader = tokio::spawn({
        let cached = cached.clone();
        async move { version(&cached).await.unwrap() }
    });
    tokio::task::yield_now().await;
    let now = Instant::now();
    assert_eq!(version(&cached).await.unwrap(), "1");
    assert!(now.elapsed() < Duration::from_secs(1));
    assert_eq!(reader.await.unwrap(), "2");
}

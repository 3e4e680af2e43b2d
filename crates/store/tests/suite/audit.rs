//! The audit log: a change and its entry are one, the chain has no gap, and what is let go leaves
//! it whole.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use dispatch_model::audit::{Actor, Entry, Outcome, Place, Sealer};
use dispatch_model::function::Function;
use dispatch_model::resource::now_ms;
use dispatch_store::testing::Faults;
use dispatch_store::{AuditQuery, Error, Options, Store, Told};

use crate::{function, name, on_both, org, subjects};

/// Seals well enough for those who do not know how.
struct Word(&'static str);

impl Sealer for Word {
    fn seal(&self, words: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (self.0, words).hash(&mut hasher);
        format!("{:x}", hasher.finish())
    }

    fn holds(&self, words: &str, seal: &str) -> bool {
        seal == self.seal(words)
    }
}

const KEY: Word = Word("key");

fn told(action: &str, thing: &str) -> Told {
    let entry = Entry {
        organization: Some("a".to_owned()),
        actor: Actor { kind: "x".into(), organization: Some("a".into()), name: "ci".into() },
        action: action.to_owned(),
        resource: "function".to_owned(),
        name: thing.to_owned(),
        request_id: format!("request {thing}"),
        ..Entry::default()
    };
    Told { entry, sealer: Arc::new(KEY) }
}

async fn begin(store: &Store) {
    store.audit_begin("audit.key", "sealed", &KEY).await.unwrap();
}

async fn create(store: &Store, called: &str) -> Result<(), Error> {
    store.audited(&told("create", called)).insert(&function("a", called)).await
}

/// Walks along the whole log; the last place, or the first number that is wrong.
async fn walk(store: &Store) -> Result<Place, i64> {
    let mut at = store.audit_start(&KEY).await.unwrap().map_err(|_| 1)?;
    for row in store.audit_rows(0, 10_000).await.unwrap() {
        at = row.follows(at, &KEY).map_err(|(seq, _)| seq)?;
    }
    let head = store.audit_head(&KEY).await.unwrap();
    if head == Ok(at) { Ok(at) } else { Err(at.seq + 1) }
}

/// What the log says, the oldest first.
async fn said(store: &Store, query: AuditQuery) -> Vec<String> {
    let query = AuditQuery { oldest_first: true, limit: 1_000, ..query };
    let entries = store.audit_list(&query).await.unwrap();
    entries.iter().map(|e| format!("{} {}", e.action, e.name)).collect()
}

on_both!(a_change_and_its_entry_are_one, |store| {
    begin(&store).await;
    create(&store, "f").await.unwrap();
    assert!(matches!(create(&store, "f").await, Err(Error::Exists)));
    let mut found = store.by_name::<Function>(&org("a"), &name("f")).await.unwrap().unwrap();
    let mut stale = found.clone();
    store.audited(&told("update", "f")).update(&mut found).await.unwrap();
    let refused = store.audited(&told("update", "f")).update(&mut stale).await;
    assert!(matches!(refused, Err(Error::Stale { .. })));
    assert!(store.audited(&told("delete", "f")).remove(&found).await.unwrap());
    assert!(!store.audited(&told("delete", "f")).remove(&found).await.unwrap());
    let nowhere = function("a", "g");
    let missing = store.audited(&told("create", "g")).insert_in_organization(&nowhere).await;
    assert!(matches!(missing, Err(Error::Missing)));
    assert_eq!(said(&store, AuditQuery::default()).await, ["create f", "update f", "delete f"]);
    assert_eq!(walk(&store).await.unwrap().seq, 3);
    assert_eq!(store.audit_stats(), (3, 3));
});

/// A fault before the transaction, and on PostgreSQL one after its commit, when the answer is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_change_and_entry_stay_together() {
    for subject in subjects().await {
        let store = subject.store.clone();
        begin(&store).await;
        let faults = Faults::of(&subject.url);
        for nth in 1..=4 {
            let called = format!("f{nth}");
            faults.arm(nth);
            // Whether it failed is not the question.
            let _ = create(&store, &called).await;
            faults.disarm();
            let there = store.by_name::<Function>(&org("a"), &name(&called)).await.unwrap();
            let query = AuditQuery { name: Some(called), ..AuditQuery::default() };
            assert_eq!(said(&store, query).await.len(), usize::from(there.is_some()), "{nth}");
        }
        assert!(walk(&store).await.is_ok());
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_the_same_time_make_one_chain() {
    for subject in subjects().await {
        begin(&subject.store).await;
        let other = Store::open(&subject.url, Options::default()).await.unwrap();
        let mut tasks = Vec::new();
        for writer in 0..8 {
            let store = if writer % 2 == 0 { &subject.store } else { &other }.clone();
            tasks.push(tokio::spawn(async move {
                for n in 0..10 {
                    create(&store, &format!("f{writer}x{n}")).await.unwrap();
                    store.audit_append(&[told("read", "s"), told("read", "t")]).await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(walk(&subject.store).await.unwrap().seq, 240);
        other.close().await;
        subject.store.close().await;
    }
}

on_both!(entries_are_found_by_who_what_and_when, |store| {
    begin(&store).await;
    for called in ["f", "g", "h"] {
        create(&store, called).await.unwrap();
    }
    let mut refused = told("get", "db");
    refused.entry.outcome = Outcome::Refused;
    refused.entry.resource = "secret".to_owned();
    refused.entry.actor = Actor::anonymous();
    refused.entry.organization = None;
    store.audit_append(&[refused]).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let none = AuditQuery::default();
    for (query, expected) in [
        (AuditQuery { org: some("a"), ..none.clone() }, 3),
        (AuditQuery { org: some("b"), ..none.clone() }, 0),
        (AuditQuery { actor: some("a/ci"), ..none.clone() }, 3),
        (AuditQuery { actor: some("anonymous"), ..none.clone() }, 1),
        (AuditQuery { action: some("create"), resource: some("function"), ..none.clone() }, 3),
        (AuditQuery { name: some("g"), ..none.clone() }, 1),
        (AuditQuery { outcome: some("refused"), ..none.clone() }, 1),
        (AuditQuery { request_id: some("request h"), ..none.clone() }, 1),
        (AuditQuery { name: some("g' OR 1=1 --"), ..none.clone() }, 0),
    ] {
        assert_eq!(said(&store, query.clone()).await.len(), expected, "{query:?}");
    }
    let all = store.audit_list(&AuditQuery { limit: 10, ..none.clone() }).await.unwrap();
    let numbers: Vec<_> = all.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [4, 3, 2, 1], "the newest first");
    let page = AuditQuery { limit: 2, after: Some(3), ..none.clone() };
    let numbers: Vec<_> =
        store.audit_list(&page).await.unwrap().iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [2, 1]);
    let (first, last) = (all[3].time_ms, all[0].time_ms);
    let span = |since, until| AuditQuery { since_ms: since, until_ms: until, ..none.clone() };
    assert_eq!(said(&store, span(Some(first), Some(last + 1))).await.len(), 4);
    assert!(said(&store, span(Some(last + 1), None)).await.is_empty());
    assert!(said(&store, span(None, Some(first))).await.is_empty());
});

on_both!(what_is_let_go_leaves_the_chain_whole, |store| {
    begin(&store).await;
    for called in ["f", "g", "h"] {
        create(&store, called).await.unwrap();
    }
    assert_eq!(store.audit_cut(0, Arc::new(KEY)).await.unwrap(), 0);
    assert_eq!(store.audit_cut(i64::MAX, Arc::new(KEY)).await.unwrap(), 3);
    assert_eq!(said(&store, AuditQuery::default()).await, ["cut "], "the cut is told of");
    assert_eq!(walk(&store).await.unwrap().seq, 4);
    create(&store, "i").await.unwrap();
    assert_eq!(walk(&store).await.unwrap().seq, 5);
    store
        .tamper("UPDATE setting SET value = replace(value, ':3,', ':2,') WHERE name = 'audit.cut'")
        .await
        .unwrap();
    assert_eq!(walk(&store).await, Err(1), "the beginning cannot be made up");
});

on_both!(what_was_made_older_than_it_is_is_not_let_go, |store| {
    begin(&store).await;
    for called in ["f", "g", "h"] {
        create(&store, called).await.unwrap();
    }
    store.tamper("UPDATE audit SET time_ms = 1 WHERE seq = 2").await.unwrap();
    assert_eq!(store.audit_cut(1_000, Arc::new(KEY)).await.unwrap(), 0);
    assert_eq!(walk(&store).await, Err(2), "and the edit shows");
    store.tamper("UPDATE audit SET time_ms = 1").await.unwrap();
    assert_eq!(store.audit_cut(1_000, Arc::new(KEY)).await.unwrap(), 0);
    assert_eq!(said(&store, AuditQuery::default()).await.len(), 3);
    // Nor does an end that was set far ahead hold what comes.
    let ahead = "UPDATE setting SET value = replace(value, '\"timeMs\":', '\"timeMs\":9') \
                 WHERE name = 'audit.head'";
    store.tamper(ahead).await.unwrap();
    create(&store, "i").await.unwrap();
    let newest = store.audit_list(&AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap();
    assert!(newest[0].time_ms < now_ms() + 2 * 3_600_000, "{}", newest[0].time_ms);
});

/// What somebody does who can write to the database but has not the key; and the first entry that
/// then is not right.
const EDITS: &[(&[&str], i64)] = &[
    (&["UPDATE audit SET body = replace(body, 'create', 'update') WHERE seq = 3"], 3),
    (&["UPDATE audit SET org = 'elsewhere' WHERE seq = 4"], 4),
    (&["UPDATE audit SET time_ms = 0 WHERE seq = 2"], 2),
    (&["UPDATE audit SET seal = 'key' WHERE seq = 1"], 1),
    (&["UPDATE audit SET link = '00' WHERE seq = 5"], 5),
    (&["DELETE FROM audit WHERE seq = 3"], 3),
    (&["DELETE FROM audit WHERE seq = 1"], 1),
    (&["DELETE FROM audit WHERE seq = 5"], 5),
    (&["DELETE FROM audit"], 1),
    (&["DELETE FROM audit", "DELETE FROM setting WHERE name = 'audit.head'"], 1),
    (&["DELETE FROM setting WHERE name = 'audit.head'"], 6),
    (&["UPDATE setting SET value = replace(value, ':5,', ':4,') WHERE name = 'audit.head'"], 6),
    (
        &[
            "UPDATE audit SET seq = 0 WHERE seq = 3",
            "UPDATE audit SET seq = 3 WHERE seq = 4",
            "UPDATE audit SET seq = 4 WHERE seq = 0",
        ],
        3,
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_shows_and_stays_visible() {
    for (edit, first_wrong) in EDITS {
        for subject in subjects().await {
            let store = subject.store.clone();
            begin(&store).await;
            for n in 1..=5 {
                create(&store, &format!("f{n}")).await.unwrap();
            }
            assert_eq!(walk(&store).await.unwrap().seq, 5);
            for step in *edit {
                assert!(store.tamper(step).await.unwrap() > 0, "{step}");
            }
            assert_eq!(walk(&store).await, Err(*first_wrong), "{edit:?}");
            // What is written afterwards neither fails nor mends it, nor does a start.
            begin(&store).await;
            create(&store, "later").await.unwrap();
            assert_eq!(walk(&store).await, Err(*first_wrong), "{edit:?}");
            store.close().await;
        }
    }
}

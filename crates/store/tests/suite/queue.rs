//! The queue: nothing is lost, nothing is executed by two, everything ends once.

use std::collections::HashSet;

use dispatch_model::State;
use dispatch_store::{Accepted, Lease, RunQuery};
use uuid::Uuid;

use crate::{ended, on_both, org, run_of};

fn now_us() -> i64 {
    dispatch_model::resource::now_ms() * 1_000
}

fn lease(owner: Uuid) -> Lease {
    Lease { owner, until_us: now_us() + 60_000_000 }
}

on_both!(claims_of_two_owners_never_overlap, |store| {
    for _ in 0..200 {
        store.run_accept(&run_of("a", "f"), None, None).await.unwrap();
    }
    assert_eq!(store.run_pending().await.unwrap(), 200);
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let (owner, mut mine) = (Uuid::new_v4(), Vec::new());
            loop {
                let claimed = store.run_claim(lease(owner), 7).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|run| run.id));
            }
        }));
    }
    let mut seen = HashSet::new();
    for task in tasks {
        for id in task.await.unwrap() {
            assert!(seen.insert(id), "{id} was claimed twice");
        }
    }
    assert_eq!(seen.len(), 200);
});

on_both!(a_held_run_is_claimed_when_its_lease_ends, |store| {
    let (me, other) = (Uuid::new_v4(), Uuid::new_v4());
    let run = run_of("a", "f");
    store.run_accept(&run, None, Some(lease(me))).await.unwrap();
    assert!(store.run_claim(lease(other), 10).await.unwrap().is_empty());
    store.run_renew(Lease { owner: other, until_us: 0 }, &[run.id]).await.unwrap();
    assert!(store.run_claim(lease(other), 10).await.unwrap().is_empty(), "not theirs to release");
    store.run_release(me, &[run.id]).await.unwrap();
    assert_eq!(store.run_claim(lease(other), 10).await.unwrap()[0].id, run.id);
});

on_both!(a_run_ends_exactly_once, |store| {
    let run = run_of("a", "f");
    store.run_accept(&run, None, None).await.unwrap();
    store.run_finish(&ended(run.clone())).await.unwrap();
    let mut late = run.clone();
    late.state = State::Error;
    store.run_dead(&late).await.unwrap();
    store.run_retry(&late, 0).await.unwrap();
    let read = store.run_get(&org("a"), run.id).await.unwrap().unwrap();
    assert_eq!(read.state, State::Ready);
    assert_eq!(store.run_pending().await.unwrap(), 0);
});

on_both!(a_deleted_run_does_not_come_back, |store| {
    let run = run_of("a", "f");
    store.run_accept(&run, None, None).await.unwrap();
    store.run_delete_of(&org("a"), run.function_id).await.unwrap();
    store.run_finish(&ended(run.clone())).await.unwrap();
    assert!(store.run_get(&org("a"), run.id).await.unwrap().is_none());
});

on_both!(a_retried_run_is_due_later_and_may_die, |store| {
    let mut run = run_of("a", "f");
    store.run_accept(&run, None, Some(lease(Uuid::new_v4()))).await.unwrap();
    run.attempts = 1;
    store.run_retry(&run, now_us() + 60_000_000).await.unwrap();
    assert!(store.run_claim(lease(Uuid::new_v4()), 10).await.unwrap().is_empty(), "not due yet");
    store.run_retry(&run, now_us()).await.unwrap();
    let claimed = store.run_claim(lease(Uuid::new_v4()), 10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].attempts), (1, 1));
    run.state = State::Error;
    store.run_dead(&run).await.unwrap();
    let dead = RunQuery { dead: true, ..RunQuery::default() };
    assert_eq!(store.run_list(&org("a"), &dead).await.unwrap().items.len(), 1);
    assert!(store.run_delete(&org("a"), run.id).await.unwrap());
    assert!(!store.run_delete(&org("a"), run.id).await.unwrap());
});

on_both!(of_fifty_requests_with_one_key_one_is_stored, |store| {
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let run = run_of("a", "f");
            match store.run_accept(&run, Some("key"), None).await.unwrap() {
                Accepted::New => (run.id, true),
                Accepted::Existing(first) => (first.id, false),
            }
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|(_, new)| *new).count(), 1);
    assert_eq!(answers.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(), 1);
    assert_eq!(store.run_pending().await.unwrap(), 1);
    let other = store.run_accept(&run_of("b", "f"), Some("key"), None).await.unwrap();
    assert!(matches!(other, Accepted::New), "keys are an organization's own");
});

on_both!(a_key_is_free_again_when_its_run_is_deleted, |store| {
    let first = run_of("a", "f");
    store.run_accept(&first, Some("key"), None).await.unwrap();
    store.run_finish(&ended(first.clone())).await.unwrap();
    let again = store.run_accept(&run_of("a", "f"), Some("key"), None).await.unwrap();
    assert!(matches!(again, Accepted::Existing(run) if run.id == first.id));
    assert!(store.run_delete(&org("a"), first.id).await.unwrap());
    let new = run_of("a", "f");
    assert!(matches!(store.run_accept(&new, Some("key"), None).await.unwrap(), Accepted::New));
    let kept = store.run_accept(&run_of("a", "f"), Some("key"), None).await.unwrap();
    assert!(matches!(kept, Accepted::Existing(run) if run.id == new.id));
    assert_eq!(store.run_keys_trim().await.unwrap(), 0, "keys are kept for a day");
});

on_both!(a_starting_server_takes_over_from_dead_ones_on_sqlite, |store| {
    let (dead, me) = (Uuid::new_v4(), Uuid::new_v4());
    store.run_accept(&run_of("a", "f"), None, Some(lease(dead))).await.unwrap();
    let mine = run_of("a", "f");
    store.run_accept(&mine, None, Some(lease(me))).await.unwrap();
    let freed = store.run_release_others(me).await.unwrap();
    // On PostgreSQL the others may well be alive; their leases run out.
    assert_eq!(freed, u64::from(store.is_sqlite()));
    let claimed = store.run_claim(lease(me), 10).await.unwrap();
    assert_eq!(claimed.len() as u64, freed);
    assert!(claimed.iter().all(|run| run.id != mine.id));
});

on_both!(of_many_ends_of_one_run_the_first_stays, |store| {
    for _ in 0..20 {
        let run = run_of("a", "f");
        store.run_accept(&run, None, None).await.unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (store, mut run) = (store.clone(), ended(run.clone()));
                run.attempts = i;
                tokio::spawn(async move { store.run_finish(&run).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let first = store.run_get(&org("a"), run.id).await.unwrap().unwrap();
        store.run_finish(&ended(run.clone())).await.unwrap();
        let after = store.run_get(&org("a"), run.id).await.unwrap().unwrap();
        assert_eq!((after.state, after.attempts), (State::Ready, first.attempts));
    }
});

//! Usage is added up, whoever tells it and however often.

use dispatch_model::organization::{Organization, OrganizationSpec};
use dispatch_model::{Resource, State, Tags};
use dispatch_store::Store;
use dispatch_store::usage::{UsageDelta, UsageOf, UsageQuery, UsageRow};

use crate::{name, on_both, org};

async fn organization(store: &Store, called: &str) -> Resource<Organization> {
    let spec = OrganizationSpec::default();
    let made = Resource::new(org(called), name(called), Tags::new(), State::Ready, spec);
    store.insert(&made).await.unwrap();
    made
}

fn delta(in_org: &str, hour: i64, function: &str, runs: u64) -> UsageDelta {
    UsageDelta {
        org: in_org.to_owned(),
        hour,
        function: function.to_owned(),
        runs,
        errors: 1,
        duration_us: 10 * runs,
        memory_mib_ms: 100 * runs,
        bytes_in: 2,
        bytes_out: 3,
        storage_bytes: 0,
        concurrency: runs,
    }
}

fn peak(in_org: &str, hour: i64, concurrency: u64, storage_bytes: u64) -> UsageDelta {
    let (org, function) = (in_org.to_owned(), String::new());
    UsageDelta { org, hour, function, concurrency, storage_bytes, ..UsageDelta::default() }
}

async fn list(store: &Store, query: UsageQuery) -> Vec<UsageRow> {
    store.usage_list(&query).await.unwrap()
}

fn of(in_org: &str) -> UsageQuery {
    UsageQuery { org: Some(org(in_org)), hours: (0, 1_000), ..UsageQuery::default() }
}

on_both!(servers_add_up_and_the_most_is_kept, |store| {
    organization(&store, "a").await;
    organization(&store, "b").await;
    store.usage_add(&[delta("a", 48, "f", 2), delta("a", 48, "g", 1)]).await.unwrap();
    store.usage_add(&[delta("a", 48, "f", 3), delta("b", 49, "f", 7)]).await.unwrap();
    store.usage_add(&[delta("a", 50, "f", 1), peak("a", 48, 4, 900)]).await.unwrap();
    store.usage_add(&[peak("a", 48, 3, 1_000), peak("a", 50, 2, 800)]).await.unwrap();
    let rows = list(&store, of("a")).await;
    assert_eq!(rows.len(), 2);
    let first = UsageRow {
        org: "a".to_owned(),
        function: String::new(),
        hour: 48,
        runs: 6,
        errors: 3,
        duration_us: 60,
        memory_mib_ms: 600,
        bytes_in: 6,
        bytes_out: 9,
        storage_bytes: 1_000,
        concurrency: 4,
    };
    assert_eq!(rows[0], first);
    let day = list(&store, UsageQuery { by_day: true, ..of("a") }).await;
    let seen: Vec<_> = day.iter().map(|r| (r.hour, r.runs, r.storage_bytes)).collect();
    assert_eq!(seen, [(48, 7, 1_000)]);
    let each = list(&store, UsageQuery { of: UsageOf::EachFunction, ..of("a") }).await;
    let seen: Vec<_> = each.iter().map(|r| (r.hour, &*r.function, r.runs)).collect();
    assert_eq!(seen, [(48, "f", 5), (48, "g", 1), (50, "f", 1)]);
    let one = UsageOf::Function(name("g"));
    assert_eq!(list(&store, UsageQuery { of: one, ..of("a") }).await.len(), 1);
    let everywhere = list(&store, UsageQuery { org: None, by_day: true, ..of("a") }).await;
    let seen: Vec<_> = everywhere.iter().map(|r| (&*r.org, r.runs)).collect();
    assert_eq!(seen, [("a", 7), ("b", 7)]);
    let some = list(&store, UsageQuery { hours: (49, 50), ..of("a") }).await;
    assert!(some.is_empty(), "{some:?}");
    let memory = store.usage_memory(&["a", "b", "c"], 49).await.unwrap();
    assert_eq!((memory["a"], memory["b"], memory.len()), (100, 700, 2));
    assert_eq!(store.usage_trim(49).await.unwrap(), 3);
    assert_eq!(list(&store, of("a")).await.len(), 1);
});

on_both!(usage_goes_with_its_organization_and_does_not_come_back, |store| {
    let mut made = organization(&store, "a").await;
    store.usage_add(&[delta("a", 1, "f", 1), delta("none", 1, "f", 1)]).await.unwrap();
    made.meta.state = State::Deleting;
    store.update(&mut made).await.unwrap();
    store.usage_add(&[delta("a", 1, "f", 1)]).await.unwrap();
    assert_eq!(list(&store, of("a")).await[0].runs, 1);
    store.organization_remove(&made).await.unwrap();
    store.usage_add(&[delta("a", 1, "f", 1)]).await.unwrap();
    organization(&store, "a").await;
    organization(&store, "none").await;
    let rows = list(&store, UsageQuery { org: None, ..of("a") }).await;
    assert!(rows.is_empty(), "{rows:?}");
});

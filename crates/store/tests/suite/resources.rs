//! Resources: insert, get, compare-and-swap, remove, lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dispatch_model::api::{Api, ApiSpec};
use dispatch_model::function::Function;
use dispatch_model::policy::{Policy, PolicySpec, Rule};
use dispatch_model::{ListQuery, Resource, ResourceKind, Sort, State, Tags};
use dispatch_store::{Error, Store};

use crate::{function, name, on_both, org};

on_both!(what_is_stored_comes_back, |store| {
    let mut made = function("a", "f");
    made.meta.tags = Tags::from([("team".into(), "ü\"'".into())]);
    store.insert(&made).await.unwrap();
    let read = store.by_name::<Function>(&org("a"), &name("f")).await.unwrap().unwrap();
    assert_eq!(read, made);
    assert_eq!(store.by_id::<Function>(made.meta.id).await.unwrap().unwrap(), made);
    assert!(store.by_id::<Api>(made.meta.id).await.unwrap().is_none(), "another kind");
    assert!(store.by_name::<Function>(&org("b"), &name("f")).await.unwrap().is_none());
    assert!(matches!(store.insert(&function("a", "f")).await, Err(Error::Exists)));
    store.insert(&function("b", "f")).await.unwrap();
    assert_eq!(store.count(ResourceKind::Function).await.unwrap(), 2);
});

on_both!(of_two_writers_one_is_told, |store| {
    let mut mine = function("a", "f");
    store.insert(&mine).await.unwrap();
    let mut theirs = mine.clone();
    mine.meta.state = State::Ready;
    store.update(&mut mine).await.unwrap();
    assert_eq!(mine.meta.revision, 2);
    theirs.meta.state = State::Error;
    assert!(matches!(store.update(&mut theirs).await, Err(Error::Stale { current: 2 })));
    assert_eq!(theirs.meta.revision, 1, "what failed changed nothing");
    assert!(store.remove(&mine).await.unwrap());
    assert!(!store.remove(&mine).await.unwrap());
    assert!(matches!(store.update(&mut mine).await, Err(Error::Missing)));
});

on_both!(a_new_thing_of_an_old_name_is_not_removed_by_the_old, |store| {
    let old = function("a", "f");
    store.insert(&old).await.unwrap();
    store.remove(&old).await.unwrap();
    let new = function("a", "f");
    store.insert(&new).await.unwrap();
    assert!(!store.remove(&old).await.unwrap());
    assert!(store.by_name::<Function>(&org("a"), &name("f")).await.unwrap().is_some());
});

on_both!(users_are_named, |store| {
    let mut user = function("a", "f");
    user.spec.secrets = vec!["s1".into(), "s2".into(), "s2".into()];
    store.insert(&user).await.unwrap();
    store.insert(&function("b", "other")).await.unwrap();
    let api = ApiSpec {
        function: "f".into(),
        methods: vec![],
        uris: vec![],
        hosts: vec![],
        protocols: vec![],
        authentication: "public".into(),
        enabled: true,
        cors: false,
        tls: Some("s1".into()),
    };
    let api: Resource<Api> = Resource::new(org("a"), name("route"), Tags::new(), State::Ready, api);
    store.insert(&api).await.unwrap();
    let users = |kind, called: &'static str| {
        let store = store.clone();
        async move { store.users_of(&org("a"), kind, &name(called)).await.unwrap() }
    };
    let (f, route) = ((ResourceKind::Function, name("f")), (ResourceKind::Api, name("route")));
    assert_eq!(users(ResourceKind::Image, "python3").await, std::slice::from_ref(&f));
    assert_eq!(users(ResourceKind::Function, "f").await, std::slice::from_ref(&route));
    assert_eq!(users(ResourceKind::Secret, "s1").await, [f.clone(), route]);
    user.spec.secrets = vec!["s2".into()];
    store.update(&mut user).await.unwrap();
    assert_eq!(users(ResourceKind::Secret, "s2").await, [f]);
    store.remove(&user).await.unwrap();
    assert_eq!(users(ResourceKind::Secret, "s2").await, []);
});

on_both!(lists_page_sort_and_select, |store| {
    for i in 0..25 {
        let mut made = function("a", &format!("f{i:02}"));
        made.meta.created_ms = 1_000 + i64::from(i % 5);
        made.meta.tags = Tags::from([("even".into(), (i % 2 == 0).to_string())]);
        made.meta.state = if i % 3 == 0 { State::Ready } else { State::Initialized };
        if i == 7 {
            made.spec.image = "java".into();
        }
        store.insert(&made).await.unwrap();
    }
    store.insert(&function("b", "f00")).await.unwrap();
    for sort in [Sort::Name, Sort::NameDescending, Sort::Created, Sort::ModifiedDescending] {
        let all = ListQuery { sort, ..ListQuery::default() };
        let all = store.list::<Function>(&org("a"), &all).await.unwrap();
        assert_eq!((all.items.len(), all.continue_token.is_none()), (25, true));
        let mut paged = Vec::new();
        let mut query = ListQuery { limit: Some(4), sort, ..ListQuery::default() };
        loop {
            let page = store.list::<Function>(&org("a"), &query).await.unwrap();
            assert!(page.items.len() <= 4);
            paged.extend(page.items);
            query.continue_token = page.continue_token;
            if query.continue_token.is_none() {
                break;
            }
        }
        assert_eq!(paged, all.items, "{sort:?}");
    }
    let count = |query: ListQuery| {
        let store = store.clone();
        async move { store.list::<Function>(&org("a"), &query).await.unwrap().items.len() }
    };
    let even = vec![("even".to_owned(), "true".to_owned())];
    assert_eq!(count(ListQuery { tags: even.clone(), ..ListQuery::default() }).await, 13);
    let ready = Some(State::Ready);
    assert_eq!(count(ListQuery { tags: even, state: ready, ..ListQuery::default() }).await, 5);
    let java = vec![("image".to_owned(), "java".to_owned())];
    assert_eq!(count(ListQuery { spec: java, ..ListQuery::default() }).await, 1);
    let one = Some("f03".to_owned());
    assert_eq!(count(ListQuery { name: one, ..ListQuery::default() }).await, 1);
    assert_eq!(store.list_all::<Function>(&ListQuery::default()).await.unwrap().items.len(), 26);
    assert_eq!(store.pending::<Function>(100).await.unwrap().len(), 17);
});

on_both!(a_query_that_cannot_be_answered_names_the_field, |store| {
    let unknown = ListQuery { spec: vec![("colour".into(), "red".into())], ..ListQuery::default() };
    let refused = store.list::<Function>(&org("a"), &unknown).await;
    assert!(matches!(refused, Err(Error::Invalid(v)) if v.field == "colour"));
    let token = ListQuery { continue_token: Some("☃".into()), ..ListQuery::default() };
    let refused = store.list::<Function>(&org("a"), &token).await;
    assert!(matches!(refused, Err(Error::Invalid(v)) if v.field == "continue"));
});

on_both!(a_changed_resource_is_found_by_what_it_is_now, |store| {
    let mut made = function("a", "f");
    made.meta.tags = Tags::from([("team".into(), "red".into()), ("kept".into(), "yes".into())]);
    store.insert(&made).await.unwrap();
    made.meta.tags.insert("team".into(), "blue".into());
    made.meta.state = State::Ready;
    made.spec.image = "java".into();
    store.update(&mut made).await.unwrap();
    let tag = |key: &str, value: &str| ListQuery {
        tags: vec![(key.into(), value.into())],
        ..ListQuery::default()
    };
    let image = |value: &str| ListQuery {
        spec: vec![("image".into(), value.into())],
        ..ListQuery::default()
    };
    let state = |state| ListQuery { state: Some(state), ..ListQuery::default() };
    let found = [tag("team", "blue"), tag("kept", "yes"), image("java"), state(State::Ready)];
    for query in found {
        let page = store.list::<Function>(&org("a"), &query).await.unwrap();
        assert_eq!(page.items, [made.clone()], "{query:?}");
    }
    for query in [tag("team", "red"), image("python3"), state(State::Initialized)] {
        let page = store.list::<Function>(&org("a"), &query).await.unwrap();
        assert!(page.items.is_empty(), "{query:?}");
    }
});

on_both!(a_policy_uses_the_roles_and_groups_that_its_rules_name, |store| {
    let rule = |subject: &str, roles: &[&str]| Rule {
        subjects: vec![subject.into(), "ada".into()],
        roles: roles.iter().map(|role| (*role).into()).collect(),
        ..Rule::default()
    };
    let rules = vec![rule("group:ops", &["reader"]), rule("*", &["reader", "writer"])];
    let spec = PolicySpec { rules, global: false };
    let mut policy: Resource<Policy> =
        Resource::new(org("a"), name("p"), Tags::new(), State::Ready, spec);
    store.insert(&policy).await.unwrap();
    let users = async |kind: ResourceKind, called: &str| {
        store.users_of(&org("a"), kind, &name(called)).await.unwrap()
    };
    let used = [(ResourceKind::Policy, name("p"))];
    assert_eq!(users(ResourceKind::Role, "reader").await, used);
    assert_eq!(users(ResourceKind::Role, "writer").await, used);
    assert_eq!(users(ResourceKind::Group, "ops").await, used);
    assert!(users(ResourceKind::Group, "ada").await.is_empty());
    assert!(users(ResourceKind::Role, "ops").await.is_empty());
    policy.spec.rules.truncate(1);
    store.update(&mut policy).await.unwrap();
    assert!(users(ResourceKind::Role, "writer").await.is_empty());
    let query = ListQuery { spec: vec![("role".into(), "reader".into())], ..ListQuery::default() };
    assert_eq!(store.list::<Policy>(&org("a"), &query).await.unwrap().items, [policy]);
});

/// Pages through everything `query` selects.
async fn paged(store: &Store, query: ListQuery, in_org: Option<&str>) -> Vec<String> {
    let (mut query, mut names) = (query, Vec::new());
    loop {
        let page = match in_org {
            Some(in_org) => store.list::<Function>(&org(in_org), &query).await.unwrap(),
            None => store.list_all::<Function>(&query).await.unwrap(),
        };
        names.extend(page.items.iter().map(|f| format!("{}/{}", f.meta.org, f.meta.name)));
        query.continue_token = page.continue_token;
        if query.continue_token.is_none() {
            return names;
        }
    }
}

on_both!(every_order_and_selection_pages_through_the_same, |store| {
    for i in 0..60 {
        let mut made = function(["a", "b"][i % 2], &format!("f{:02}", (i * 7) % 60));
        made.meta.created_ms = 5_000 + (i as i64 % 4);
        made.meta.tags = Tags::from([("third".into(), (i % 3).to_string())]);
        store.insert(&made).await.unwrap();
    }
    let sorts = [
        Sort::Name,
        Sort::NameDescending,
        Sort::Created,
        Sort::CreatedDescending,
        Sort::Modified,
        Sort::ModifiedDescending,
    ];
    for sort in sorts {
        for in_org in [Some("a"), None] {
            for tags in [vec![], vec![("third".to_owned(), "1".to_owned())]] {
                for state in [None, Some(State::Initialized)] {
                    let all = ListQuery { sort, tags: tags.clone(), state, ..ListQuery::default() };
                    let by_seven = ListQuery { limit: Some(7), ..all.clone() };
                    let all = paged(&store, all, in_org).await;
                    let share = if tags.is_empty() { 1 } else { 3 };
                    let organizations = if in_org.is_some() { 1 } else { 2 };
                    assert_eq!(all.len(), 30 * organizations / share, "{sort:?} {tags:?}");
                    assert_eq!(paged(&store, by_seven, in_org).await, all, "{sort:?} {tags:?}");
                }
            }
        }
    }
});

on_both!(pages_miss_and_repeat_nothing_that_was_there_all_the_time, |store| {
    for i in 0..1_000 {
        store.insert(&function("a", &format!("there-{i:04}"))).await.unwrap();
    }
    let inserting = store.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let inserts = tokio::spawn(async move {
        let mut i = 0;
        while !stopped.load(Ordering::Relaxed) {
            let name = format!("{}-{i}", ["early", "there-0500x", "way-later"][i % 3]);
            inserting.insert(&function("a", &name)).await.unwrap();
            i += 1;
        }
        i
    });
    let query = ListQuery { limit: Some(37), ..ListQuery::default() };
    let mut seen = paged(&store, query, Some("a")).await;
    stop.store(true, Ordering::Relaxed);
    assert!(inserts.await.unwrap() > 0);
    let is_old = |name: &String| name.starts_with("a/there-") && !name.contains('x');
    let old = seen.iter().filter(|name| is_old(name)).count();
    assert_eq!(old, 1_000);
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "a name came twice");
});

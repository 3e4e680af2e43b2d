//! Resources: insert, get, compare-and-swap, remove, lists.

use dispatch_model::api::{Api, ApiSpec};
use dispatch_model::function::Function;
use dispatch_model::{ListQuery, Resource, ResourceKind, Sort, State, Tags};
use dispatch_store::Error;

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
    assert_eq!(store.count_by_kind(&org("a")).await.unwrap(), [(ResourceKind::Function, 1)]);
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
    assert_eq!(users(ResourceKind::Image, "python3").await, [f.clone()]);
    assert_eq!(users(ResourceKind::Function, "f").await, [route.clone()]);
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

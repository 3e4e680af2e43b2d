//! Runs recorded, listed and deleted.

use dispatch_model::{State, Tags};
use dispatch_store::RunQuery;
use uuid::Uuid;

use crate::{ended, name, on_both, org, run_of};

on_both!(recorded_runs_are_read_back, |store| {
    let mut run = ended(run_of("a", "f"));
    run.output = Some(serde_json::from_str(r#""ü""#).unwrap());
    store.run_record(&run).await;
    store.flush().await.unwrap();
    let read = store.run_get(&org("a"), run.id).await.unwrap().unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&run).unwrap());
    assert!(store.run_get(&org("b"), run.id).await.unwrap().is_none(), "another organization");
    assert_eq!(store.run_writer_stats().lost, 0);
});

on_both!(runs_are_listed_by_page_function_state_time_and_tag, |store| {
    let mut ids = Vec::new();
    for i in 0..30 {
        let mut run = ended(run_of("a", if i % 2 == 0 { "even" } else { "odd" }));
        run.state = if i == 4 { State::Error } else { State::Ready };
        if i == 6 {
            run.tags = Tags::from([("k".into(), "v".into())]);
        }
        ids.push(run.id);
        store.run_record(&run).await;
    }
    store.run_record(&ended(run_of("b", "even"))).await;
    store.flush().await.unwrap();
    let list = |query: RunQuery| {
        let store = store.clone();
        async move { store.run_list(&org("a"), &query).await.unwrap() }
    };
    let all = list(RunQuery::default()).await;
    let newest: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(all.items.iter().map(|r| r.id).collect::<Vec<_>>(), newest);
    let mut paged = Vec::new();
    let mut query = RunQuery { limit: Some(7), oldest_first: true, ..RunQuery::default() };
    loop {
        let page = list(query.clone()).await;
        paged.extend(page.items.iter().map(|r| r.id));
        let Some(token) = page.continue_token else { break };
        query.after = Some(Uuid::parse_str(&token).unwrap());
    }
    assert_eq!(paged, ids);
    let even = Some(name("even"));
    assert_eq!(list(RunQuery { function: even, ..RunQuery::default() }).await.items.len(), 15);
    let failed = Some(State::Error);
    assert_eq!(list(RunQuery { state: failed, ..RunQuery::default() }).await.items.len(), 1);
    let tags = vec![("k".to_owned(), "v".to_owned())];
    assert_eq!(list(RunQuery { tags, ..RunQuery::default() }).await.items.len(), 1);
    let future = Some(dispatch_model::resource::now_ms() * 1_000 + 60_000_000);
    assert_eq!(list(RunQuery { since_us: future, ..RunQuery::default() }).await.items.len(), 0);
});

on_both!(old_and_surplus_runs_go, |store| {
    let old = dispatch_model::resource::now_ms() * 1_000;
    for _ in 0..20 {
        store.run_record(&ended(run_of("a", "f"))).await;
    }
    let waiting = run_of("a", "f");
    store.run_accept(&waiting, None, None).await.unwrap();
    assert_eq!(store.run_retain(Some(old - 60_000_000), None).await.unwrap(), 0);
    assert_eq!(store.run_retain(None, Some(5)).await.unwrap(), 16);
    let gone = store.run_retain(Some(old + 60_000_000), None).await.unwrap();
    assert_eq!(gone, 4, "all but the one that waits");
    assert!(store.run_get(&org("a"), waiting.id).await.unwrap().is_some());
    assert_eq!(store.run_delete_of(&org("a"), Uuid::nil()).await.unwrap(), 1);
});

on_both!(null_is_not_nothing, |store| {
    let mut run = ended(run_of("a", "f"));
    run.input = None;
    run.output = Some(serde_json::from_str("null").unwrap());
    store.run_record(&run).await;
    store.flush().await.unwrap();
    let read = store.run_get(&org("a"), run.id).await.unwrap().unwrap();
    assert!(read.input.is_none());
    assert_eq!(read.output.unwrap().get(), "null");
});

on_both!(a_rare_tag_fills_its_page, |store| {
    for i in 0..2_500 {
        let mut run = ended(run_of("a", "f"));
        if i % 500 == 0 {
            run.tags = Tags::from([("rare".into(), "yes".into())]);
        }
        store.run_record(&run).await;
    }
    store.flush().await.unwrap();
    let tags = vec![("rare".to_owned(), "yes".to_owned())];
    let mut query = RunQuery { tags, limit: Some(3), ..RunQuery::default() };
    let first = store.run_list(&org("a"), &query).await.unwrap();
    assert_eq!(first.items.len(), 3);
    query.after = Some(Uuid::parse_str(&first.continue_token.unwrap()).unwrap());
    let second = store.run_list(&org("a"), &query).await.unwrap();
    assert_eq!((second.items.len(), second.continue_token), (2, None));
});

on_both!(deleting_goes_on_over_many_steps, |store| {
    let function_id = Uuid::new_v4();
    for i in 0..3_500 {
        let mut run = ended(run_of("a", if i % 7 == 0 { "other" } else { "f" }));
        if i % 7 != 0 {
            run.function_id = function_id;
        }
        store.run_record(&run).await;
    }
    store.flush().await.unwrap();
    assert_eq!(store.run_retain(None, Some(2_500)).await.unwrap(), 500);
    assert_eq!(store.run_delete_of(&org("a"), function_id).await.unwrap(), 2_500);
    assert_eq!(store.run_list(&org("a"), &RunQuery::default()).await.unwrap().items.len(), 500);
});

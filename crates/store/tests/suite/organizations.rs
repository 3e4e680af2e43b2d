//! Organizations are deleted empty, also when somebody stores something in them at that moment.

use dispatch_model::function::Function;
use dispatch_model::organization::{Organization, OrganizationSpec};
use dispatch_model::{Resource, ResourceKind, State, Tags};
use dispatch_store::{Error, RunQuery};

use crate::{ended, function, name, on_both, org, run_of};

fn organization(called: &str) -> Resource<Organization> {
    Resource::new(org(called), name(called), Tags::new(), State::Ready, OrganizationSpec::default())
}

on_both!(an_organization_goes_when_it_holds_nothing_but_runs, |store| {
    let mut made = organization("a");
    store.insert(&made).await.unwrap();
    store.insert_in_organization(&function("a", "f")).await.unwrap();
    let missing = store.insert_in_organization(&function("b", "f")).await;
    assert!(matches!(missing, Err(Error::Missing)), "{missing:?}");
    store.run_record(&ended(run_of("a", "f"))).await;
    let left = store.organization_remove(&made, None).await.unwrap();
    assert_eq!(left, [(ResourceKind::Function, 1)]);

    let f = store.by_name::<Function>(&org("a"), &name("f")).await.unwrap().unwrap();
    store.remove(&f).await.unwrap();
    store.update(&mut made).await.unwrap();
    let before = organization("a");
    let stale =
        Resource { meta: dispatch_model::Meta { revision: 1, ..made.meta.clone() }, ..before };
    let refused = store.organization_remove(&stale, None).await;
    assert!(matches!(refused, Err(Error::Stale { current: 2 })), "{refused:?}");
    assert_eq!(store.organization_remove(&made, None).await.unwrap(), []);
    let gone = store.organization_remove(&made, None).await;
    assert!(matches!(gone, Err(Error::Missing)), "{gone:?}");
    let runs = store.run_list(&org("a"), &RunQuery::default()).await.unwrap();
    assert!(runs.items.is_empty(), "an organization of that name would find them");
});

on_both!(nothing_is_stored_in_one_that_is_being_deleted, |store| {
    let mut made = organization("a");
    store.insert(&made).await.unwrap();
    let mut inside = function("a", "f");
    store.insert_in_organization(&inside).await.unwrap();
    store.run_record(&ended(run_of("a", "f"))).await;
    made.meta.state = State::Deleting;
    store.update(&mut made).await.unwrap();
    let refused = store.insert_in_organization(&function("a", "g")).await;
    assert!(matches!(refused, Err(Error::Missing)), "{refused:?}");
    let refused = store.update_in_organization(&mut inside).await;
    assert!(matches!(refused, Err(Error::Missing)), "{refused:?}");
    store.update(&mut inside).await.unwrap();
    let holds = store.organization_holds(&org("a")).await.unwrap();
    assert_eq!(holds, [(ResourceKind::Function, 1)]);
    assert_eq!(store.run_delete_all(&org("a")).await.unwrap(), 1);
    store.remove(&inside).await.unwrap();
    assert_eq!(store.organization_remove(&made).await.unwrap(), []);
});

on_both!(of_a_deletion_and_a_creation_one_happens, |store| {
    let (mut deleted, mut stored) = (0, 0);
    for round in 0..60 {
        let called = format!("o{round}");
        let made = organization(&called);
        store.insert(&made).await.unwrap();
        let inside = function(&called, "f");
        let (creating, deleting) = (store.clone(), store.clone());
        let creation = tokio::spawn(async move { creating.insert_in_organization(&inside).await });
        let deletion = tokio::spawn(async move { deleting.organization_remove(&made, None).await });
        let (creation, deletion) = (creation.await.unwrap(), deletion.await.unwrap().unwrap());
        let there = store.by_name::<Function>(&org(&called), &name("f")).await.unwrap();
        match creation {
            Ok(()) => {
                assert_eq!(deletion, [(ResourceKind::Function, 1)]);
                assert!(there.is_some());
                stored += 1;
            }
            Err(Error::Missing) => {
                assert!(deletion.is_empty() && there.is_none());
                deleted += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(deleted + stored, 60);
});

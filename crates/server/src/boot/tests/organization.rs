//! An organization that is deleted whole goes with everything in it, whatever fails meanwhile.

use dispatch_model::{Name, OrgName, State};
use dispatch_store::RunQuery;
use dispatch_store::usage::UsageQuery;
use dispatch_wire as wire;
use futures::future::join_all;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bed::Bed;
use super::{Fails, databases, shape};
use crate::app::{Caller, Principal};
use crate::invoke::RunRequest;

const LIST: &str = "/v1/iam/organization";
/// Every so many places one fails: a deletion has many.
const STEP: usize = 5;
const STORE_FAULTS: u64 = 150;
const ENGINE_FAULTS: u64 = 3;

fn of<T: DeserializeOwned>(noun: &str, name: &str) -> T {
    serde_json::from_value(shape(noun, name)).unwrap()
}

/// Makes an organization with something of every kind that a controller looks after, and of some
/// that none does.
async fn fill(bed: &Bed, called: &str) -> OrgName {
    bed.insist(Method::POST, LIST, &json!({"name": called}), None).await;
    let org = OrgName::new(called).unwrap();
    let caller = Caller {
        org: org.clone(),
        principal: Principal::LocalAdmin,
        token: None,
        request_id: "test".into(),
    };
    let app = &bed.running.app;
    app.base_image_create(&caller, of("baseimage", "base")).await.unwrap();
    app.image_create(&caller, of("image", "image")).await.unwrap();
    app.secret_create(&caller, of("secret", "s")).await.unwrap();
    app.application_create(&caller, of("application", "a")).await.unwrap();
    app.service_account_create(&caller, of("iam/serviceaccount", "ci")).await.unwrap();
    for name in ["echo", "other"] {
        app.function_create(&caller, of::<wire::Function>("function", name)).await.unwrap();
    }
    app.api_create(&caller, of("api", &format!("{called}-api"))).await.unwrap();
    bed.eventually(async || {
        let found = app.function_get(&caller, "echo").await.map_err(|e| e.to_string())?;
        let ready = found.meta.state == State::Ready;
        ready.then_some(()).ok_or(format!("{:?}", found.meta.reason))
    })
    .await;
    for blocking in [true, false] {
        let function = Name::trusted("echo");
        let request =
            RunRequest { blocking, ..RunRequest::new(org.clone(), function, "test".into()) };
        match blocking {
            true => app.invoker.run(request).await.unwrap(),
            false => app.invoker.accept(request).await.unwrap(),
        };
    }
    org
}

async fn deleted_whole(database: String) {
    let bed = Bed::start(database).await;
    let mut hits = 0;
    let engine = (1..=ENGINE_FAULTS).map(Fails::Engine);
    let all = (1..=STORE_FAULTS).step_by(STEP).map(Fails::Store).chain(engine);
    for (n, fails) in all.enumerate() {
        let called = format!("o{n}");
        let org = fill(&bed, &called).await;
        let one = format!("{LIST}/{called}");
        bed.arm(fails);
        bed.insist(Method::DELETE, &format!("{one}?all=true"), &Value::Null, Some(404)).await;
        bed.settled(&one, Value::is_null).await;
        hits += u32::from(bed.disarm(fails));
        let store = &bed.running.app.store;
        assert_eq!(store.organization_holds(&org).await.unwrap(), [], "{fails:?}");
        let runs = store.run_list(&org, &RunQuery::default()).await.unwrap().items;
        assert!(runs.is_empty(), "{fails:?}: {runs:?}");
        let hours = (0, i64::MAX);
        let usage = UsageQuery { org: Some(org), hours, ..UsageQuery::default() };
        assert_eq!(store.usage_list(&usage).await.unwrap(), [], "{fails:?}");
    }
    assert!(hits >= 10, "only {hits} faults were met");
    bed.nothing_left_over().await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_everything_in_it_goes() {
    join_all(databases().await.into_iter().map(deleted_whole)).await;
}

//! What who is no operator sees of engines.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use dispatch_model::policy::{Policy, PolicySpec, Rule};
use dispatch_model::{ListQuery, Name, OrgName, Resource, State, Tags};
use dispatch_wire as wire;
use futures::{Stream, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::bed::Bed;
use super::scripted::scripted;
use crate::app::engine::Service;
use crate::app::watch::Event;
use crate::app::{App, Caller, Deletion, Error, Precondition, Principal, Result};
use crate::authz::Action;

fn caller(org: &str, name: &str) -> Caller {
    let org = OrgName::trusted(org);
    let principal = Principal::ServiceAccount { org: org.clone(), name: name.to_owned() };
    let (groups, from) = (Vec::new(), None);
    Caller { org, principal, groups, from, token: None, request_id: "request".into() }
}

async fn policy(app: &App, org: &str, global: bool, subject: &str, actions: &str) {
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    let (subjects, actions) = (list(subject), list(actions));
    let resources = vec!["engine".to_owned()];
    let rules = vec![Rule { subjects, actions, resources, ..Rule::default() }];
    let (org, name) = (OrgName::trusted(org), Name::trusted(subject));
    let spec = PolicySpec { rules, global };
    let policy = Resource::<Policy>::new(org, name, Tags::new(), State::Ready, spec);
    app.store.insert(&policy).await.unwrap();
    app.reload_access().await.unwrap();
}

/// The engines `a` and `c`, open to all, and `b` of the organization `theirs`; an operator and two
/// who may do everything with engines in their own organizations, `ours` and `theirs`.
async fn bed() -> Bed {
    let bed = Bed::with(String::new(), scripted().0).await;
    for org in ["ours", "theirs"] {
        bed.insist(Method::POST, "/v1/iam/organization", &json!({"name": org}), None).await;
    }
    let secret = json!({"name": "lab", "secrets": {"token": "x"}});
    bed.insist(Method::POST, "/v1/secret", &secret, None).await;
    for (name, organizations) in [("a", json!([])), ("b", json!(["theirs"])), ("c", json!([]))] {
        let engine = json!({"name": name, "type": "scripted", "secrets": ["lab"],
            "settings": {"gateway": "http://10.1.2.3:8080"}, "labels": {"region": "eu"},
            "organizations": organizations});
        bed.insist(Method::POST, "/v1/engine", &engine, None).await;
        let path = format!("/v1/engine/{name}");
        bed.settled(&path, |e| e["status"] == "READY" && e["healthy"] == true).await;
    }
    let app = &bed.running.app;
    policy(app, "dispatch", true, "operator", "*").await;
    policy(app, "ours", false, "we", "*").await;
    policy(app, "theirs", false, "they", "*").await;
    bed
}

async fn names(app: &App, caller: &Caller) -> Vec<String> {
    let page = app.engine_list(caller, &ListQuery::default()).await.unwrap();
    page.items.iter().map(|engine| engine.meta.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_see_what_is_open_to_them_and_not_how_it_is_reached() {
    let bed = bed().await;
    let app = &bed.running.app;
    let (we, they) = (caller("ours", "we"), caller("theirs", "they"));
    let operator = caller("dispatch", "operator");
    assert_eq!(names(app, &operator).await, ["a", "b", "c", "test"]);
    assert_eq!(names(app, &we).await, ["a", "c", "test"]);
    assert_eq!(names(app, &they).await, ["a", "b", "c", "test"]);
    let shape = |engine| serde_json::to_value(app.engine_shape(&engine)).unwrap();
    let seen = shape(app.engine_get(&we, "a").await.unwrap());
    assert_eq!((&seen["labels"]["region"], &seen["healthy"]), (&json!("eu"), &json!(true)));
    assert_eq!(seen["languages"], json!(["foreign"]));
    let theirs = shape(app.engine_get(&they, "b").await.unwrap());
    for seen in [seen, theirs] {
        let hidden = ["settings", "secrets", "organizations", "reason"];
        assert!(hidden.iter().all(|field| seen.get(field).is_none()), "{seen}");
        let text = seen.to_string();
        assert!(!text.contains("10.1.2.3") && !text.contains("gateway"), "{text}");
    }
    let missing = app.engine_get(&we, "b").await.unwrap_err();
    assert_eq!(missing.to_string(), "engine b not found");
    let whole = shape(app.engine_get(&operator, "b").await.unwrap());
    assert_eq!(whole["organizations"], json!(["theirs"]));
    assert_eq!(whole["settings"]["gateway"], "http://10.1.2.3:8080");
    assert_eq!(whole["secrets"], json!(["lab"]));
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_tell_nothing_of_engines_of_others() {
    let bed = bed().await;
    let (app, we) = (&bed.running.app, caller("ours", "we"));
    let (mut query, mut found) = (ListQuery { limit: Some(1), ..ListQuery::default() }, Vec::new());
    loop {
        let page = app.engine_list(&we, &query).await.unwrap();
        assert_eq!(page.items.len(), 1);
        found.push(page.items[0].meta.name.to_string());
        query.continue_token = page.continue_token;
        match &query.continue_token {
            Some(token) => {
                use base64::Engine as _;
                let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
                let token: Value = serde_json::from_slice(&engine.decode(token).unwrap()).unwrap();
                assert_eq!(token["name"], found.last().unwrap().as_str());
            }
            None => break,
        }
    }
    assert_eq!(found, ["a", "c", "test"]);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_in_one_organization_change_no_engine() {
    let bed = bed().await;
    let (app, we) = (&bed.running.app, caller("ours", "we"));
    let shape = || wire::Engine {
        name: "a".to_owned(),
        engine_type: "scripted".to_owned(),
        ..wire::Engine::default()
    };
    let none = Precondition::None;
    let refused = |result: Result<_>| {
        let error = result.map(|_: Resource<_>| ()).unwrap_err();
        assert!(matches!(&error, Error::Forbidden { org, .. } if org == "(all)"), "{error}");
    };
    refused(app.engine_create(&we, shape()).await);
    refused(app.engine_update(&we, "a", shape(), none).await);
    refused(app.engine_service(&we, "a", Service::Draining(true), none).await);
    refused(app.engine_delete(&we, "a", Deletion::default()).await);
    let nobody = caller("ours", "nobody");
    assert!(app.engine_list(&nobody, &ListQuery::default()).await.is_err());
    assert!(app.engine_type_list(&nobody).is_err());
    assert!(app.authorizer.authorize(&we, Action::Delete, "engine").is_ok());
    bed.stop().await;
}

type Seen = (&'static str, String);

async fn next(events: &mut (impl Stream<Item = Seen> + Unpin)) -> Seen {
    let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    event.expect("an event comes").expect("the watch goes on")
}

async fn watch(app: &Arc<App>, caller: &Caller) -> impl Stream<Item = Seen> + Unpin + use<> {
    let events = app.engine_watch(caller, ListQuery::default(), None).await.unwrap();
    // Controllers and health modify engines at any time.
    let come_or_go = |event| match event {
        Event::Added(engine) => Some(("added", engine.meta.name.to_string())),
        Event::Modified(_) => None,
        Event::Deleted { name, .. } => Some(("deleted", name.to_string())),
    };
    Box::pin(events.filter_map(move |event| ready(come_or_go(event.unwrap().1))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_sees_an_engine_come_and_go_as_it_is_opened_and_closed() {
    let bed = bed().await;
    let (app, operator) = (&bed.running.app, caller("dispatch", "operator"));
    let mut events = watch(app, &caller("ours", "we")).await;
    for name in ["a", "c", "test"] {
        assert_eq!(next(&mut events).await, ("added", name.to_owned()));
    }
    let to = async |name: &str, organizations: &[&str]| {
        let shape = app.engine_shape(&app.engine_get(&operator, name).await.unwrap());
        let organizations = organizations.iter().map(|&org| org.to_owned()).collect();
        let shape = wire::Engine { organizations, ..shape };
        app.engine_update(&operator, name, shape, Precondition::None).await.unwrap();
    };
    to("c", &["theirs"]).await;
    assert_eq!(next(&mut events).await, ("deleted", "c".to_owned()));
    // Changes of what is hidden are not seen either.
    to("b", &["theirs", "dispatch"]).await;
    to("b", &["ours"]).await;
    assert_eq!(next(&mut events).await, ("added", "b".to_owned()));
    drop(events);
    bed.stop().await;
}

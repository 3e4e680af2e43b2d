//! Sessions: listed, ended, confirmed, and the same on every server.

use std::time::{Duration, Instant};

use dispatch_testkit::{Options, Server, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::BOOT;
use crate::sign_in_bed::{Bed, With};

fn name(session: &Value) -> String {
    session["name"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_and_ends_their_own_and_who_may_iam_those_of_the_organization() {
    let Some(bed) = Bed::start().await else { return };
    let ((one, first), (_, second)) = (bed.ann().await, bed.ann().await);
    let (bob, of_bob) = bed.session_of("bob").await;
    let list = async |token: &str, org: &str| {
        bed.by(token, org, Method::GET, "/v1/iam/session").await.expect(200).names()
    };
    let mut both = [name(&first), name(&second)].to_vec();
    both.sort();
    let mut seen = list(&one, "").await;
    seen.sort();
    assert_eq!(seen, both);
    assert_eq!(list(&one, "other").await, [name(&first)], "the one it is made with");
    assert_eq!(list(&bob, "").await, [name(&of_bob)], "bob is of other alone");
    // Others' sessions are not there for who may not read iam.
    let path = |session: &Value| format!("/v1/iam/session/{}", name(session));
    bed.by(&bob, "acme", Method::GET, &path(&first)).await.expect(403);
    bed.by(&bob, "", Method::DELETE, &path(&first)).await.expect(403);
    bed.by(&one, "other", Method::GET, &path(&of_bob)).await.expect(403);
    let all = bed.iam.call("acme/admin", None, Method::GET, "/v1/iam/session", &Value::Null).await;
    assert_eq!(all.expect(200).names().len(), 2);
    let shown = bed.by(&one, "", Method::GET, &path(&second)).await.expect(200);
    assert!(!shown.text.contains("digest") && !shown.text.contains("sealed"), "{}", shown.text);
    // One ends her other one, an administrator the last.
    bed.by(&one, "", Method::DELETE, &path(&second)).await.expect(200);
    bed.by(&one, "", Method::GET, &path(&second)).await.expect(403);
    let eve = bed.iam.call("other/eve", None, Method::DELETE, &path(&first), &Value::Null).await;
    eve.expect(404);
    let admin = bed.iam.call("acme/admin", None, Method::DELETE, &path(&first), &Value::Null).await;
    assert_eq!(admin.expect(200).json(), json!({}), "no address of another's sign-out");
    bed.by(&one, "", Method::GET, "/v1/function").await.expect(401);
    let log = bed.iam.call("acme/admin", None, Method::GET, "/v1/audit", &Value::Null).await;
    let log = log.expect(200);
    let acts: Vec<String> = log
        .json()
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["resource"] == "session")
        .map(|entry| format!("{} {}", entry["action"], entry["actor"]["name"]))
        .collect();
    assert!(acts.contains(&"\"create\" \"ann@example.org\"".to_owned()), "{acts:?}");
    assert!(acts.contains(&"\"delete\" \"admin\"".to_owned()), "{acts:?}");
    assert!(!log.text.contains(&one), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lasts_as_long_as_its_provider_vouches_for_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let ((ann, session), (bob, _)) = (bed.ann().await, bed.session_of("bob").await);
    let app = bed.iam.server.running().app.clone();
    let id: uuid::Uuid = session["id"].as_str().unwrap().parse().unwrap();
    let before = app.authn.sessions.get(id).expect("it is there");
    assert!(before.status.confirm_ms.is_some(), "the provider can be asked");
    app.confirm_session(&before).await.unwrap();
    let after = app.authn.sessions.get(id).expect("it is there");
    assert!(after.status.confirmed_ms > before.status.confirmed_ms);
    assert_eq!(after.status.memberships, before.status.memberships);
    bed.by(&ann, "", Method::GET, "/v1/function").await.expect(200);
    // What the provider does not know, or no more, ends it.
    let unknown = json!({"refresh": "of-nobody"});
    let mut forgotten = (*after).clone();
    let sealed = app.sign_ins.key.seal(&format!("session {id}"), &unknown).unwrap();
    forgotten.status.sealed = Some(sealed);
    app.confirm_session(&forgotten).await.unwrap();
    bed.by(&ann, "", Method::GET, "/v1/function").await.expect(401);
    // A provider that does not answer takes nothing away, for a while.
    bed.stop_corp();
    let of_bob = app.authn.sessions.all().into_iter().find(|s| s.spec.subject == "bob").unwrap();
    app.confirm_session(&of_bob).await.unwrap();
    bed.by(&bob, "", Method::GET, "/v1/iam/session").await.expect(200);
    let mut unheard = (*app.authn.sessions.get(of_bob.meta.id).unwrap()).clone();
    unheard.status.confirmed_ms -= 3_600_001;
    app.authn.sessions.put(unheard);
    bed.by(&bob, "", Method::GET, "/v1/iam/session").await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_a_restart_and_a_watch_does_not_outlive_a_session() {
    let Some(mut bed) = Bed::start().await else { return };
    let (ann, session) = bed.ann().await;
    bed.iam.server.restart().await;
    bed.by(&ann, "", Method::GET, "/v1/function").await.expect(200);
    let watch = bed.iam.server.request(Method::GET, "/v1/function?watch=true").bearer_auth(&ann);
    let watch = watch.send().await.unwrap();
    assert_eq!(watch.status(), 200);
    let path = format!("/v1/iam/session/{}", name(&session));
    bed.by(&ann, "", Method::DELETE, &path).await.expect(200);
    let text = tokio::time::timeout(Duration::from_secs(10), watch.text()).await;
    let text = text.expect("the watch ends").unwrap();
    assert!(text.contains("event: error") && text.contains("IAM001"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_go_with_their_organization_and_the_oldest_with_too_many() {
    let Some(bed) = Bed::start().await else { return };
    let (bob, _) = bed.session_of("bob").await;
    bed.iam
        .call(BOOT, Some("other"), Method::DELETE, "/v1/iam/serviceaccount/eve", &Value::Null)
        .await
        .expect(200);
    bed.iam
        .call(BOOT, Some("other"), Method::DELETE, "/v1/iam/policy/eve", &Value::Null)
        .await
        .expect(200);
    let path = "/v1/iam/organization/other";
    bed.iam.call(BOOT, None, Method::DELETE, path, &Value::Null).await.expect(200);
    bed.by(&bob, "", Method::GET, "/v1/iam/session").await.expect(401);
    let (first, _) = bed.ann().await;
    for _ in 0..50 {
        bed.ann().await;
    }
    eventually("the oldest has ended", async || {
        let answer = bed.by(&first, "", Method::GET, "/v1/function").await;
        (answer.status == 401).then_some(()).ok_or(answer.text)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_the_same_on_two_servers() {
    let Some(database) = dispatch_testkit::Database::postgres().await else { return };
    let with = With { database: Some(database.clone()), ..With::default() };
    let Some(bed) = Bed::with(with).await else { return };
    let settings = bed.settings_of_another();
    let other = Server::start_on(database, Options { settings }).await;
    let (ann, session) = bed.ann().await;
    let there = || other.request(Method::GET, "/v1/function").bearer_auth(&ann);
    send(there()).await.expect(200);
    let path = format!("/v1/iam/session/{}", name(&session));
    bed.by(&ann, "", Method::DELETE, &path).await.expect(200);
    let from = Instant::now();
    while send(there()).await.status != 401 {
        assert!(from.elapsed() < Duration::from_secs(1), "it goes on elsewhere");
    }
}

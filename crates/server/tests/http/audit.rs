//! The audit log as its readers see it: what gets there, who may read it, and that an edit shows.

use dispatch_model::audit::{Entry, Link};
use dispatch_store::testing::Faults;
use dispatch_testkit::{Database, Options, Server, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{BOOT, Iam, public_key, rule};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");
const CANARY: &str = "c4n4ry-5ecret";

/// What the whole log says, the oldest first.
async fn log(server: &Server) -> Vec<Entry> {
    let mut all = server.all("/v1/audit?all=true").await;
    all.reverse();
    all.into_iter().map(|entry| serde_json::from_value(entry).unwrap()).collect()
}

fn said(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|e| format!("{} {} {}", e.action, e.resource, e.name)).collect()
}

async fn verdict(server: &Server) -> Value {
    server.get("/v1/audit/verify").await.expect(200).json()
}

async fn call(server: &Server, method: Method, path: &str, body: Value) -> u16 {
    let mut request = server.request(method.clone(), path);
    if matches!(method, Method::POST | Method::PUT) {
        request = request.json(&body);
    }
    send(request).await.status
}

/// Method, path, body, and what the log then says in addition, if anything.
fn changes() -> Vec<(Method, &'static str, Value, &'static str)> {
    let (post, put, delete, get) = (Method::POST, Method::PUT, Method::DELETE, Method::GET);
    let engine =
        json!({"name": "lab", "type": "remote", "settings": {"url": "http://127.0.0.1:1"}});
    let policy = json!({"name": "p", "rules": [{"name": "r", "effect": "warn",
        "match": {"package": "x"}}]});
    let none = Value::Null;
    vec![
        (post.clone(), "/v1/application", json!({"name": "a"}), "create application a"),
        (post.clone(), "/v1/application", json!({"name": "a"}), ""),
        (post.clone(), "/v1/application", json!({"name": "no such name!"}), ""),
        (put.clone(), "/v1/application/a", json!({}), "update application a"),
        (put.clone(), "/v1/application/b", json!({}), ""),
        (get.clone(), "/v1/application/a", none.clone(), ""),
        (delete.clone(), "/v1/application/a", none.clone(), "delete application a"),
        (
            post.clone(),
            "/v1/secret",
            json!({"name": "s", "secrets": {"k": CANARY}}),
            "create secret s",
        ),
        (put.clone(), "/v1/secret/s", json!({"secrets": {"k": CANARY}}), "update secret s"),
        (get.clone(), "/v1/secret", none.clone(), ""),
        (get.clone(), "/v1/secret/s", none.clone(), "read secret s"),
        (get.clone(), "/v1/secret/t", none.clone(), ""),
        (delete.clone(), "/v1/secret/s", none.clone(), "delete secret s"),
        (post.clone(), "/v1/imagepolicy", policy.clone(), "create imagepolicy p"),
        (put.clone(), "/v1/imagepolicy/p", policy, "update imagepolicy p"),
        (delete.clone(), "/v1/imagepolicy/p", none.clone(), "delete imagepolicy p"),
        (post.clone(), "/v1/api", json!({"name": "r", "function": "f"}), "create api r"),
        (put.clone(), "/v1/api/r", json!({"function": "g"}), "update api r"),
        (delete.clone(), "/v1/api/r", none.clone(), "delete api r"),
        (post.clone(), "/v1/engine", engine.clone(), "create engine lab"),
        (put.clone(), "/v1/engine/lab", engine, "update engine lab"),
        (post.clone(), "/v1/engine/lab/cordon", none.clone(), "cordon engine lab"),
        (delete.clone(), "/v1/engine/lab/cordon", none.clone(), "uncordon engine lab"),
        (post.clone(), "/v1/engine/lab/drain", none.clone(), "drain engine lab"),
        (delete.clone(), "/v1/engine/lab/drain", none.clone(), "undrain engine lab"),
        (delete.clone(), "/v1/engine/lab?force=true", none.clone(), "delete engine lab"),
        (post.clone(), "/v1/prune?dryRun=true", none.clone(), ""),
        (post.clone(), "/v1/prune", none.clone(), "prune content "),
        (post.clone(), "/v1/iam/organization", json!({"name": "o"}), "create organization o"),
        (
            put.clone(),
            "/v1/iam/organization/o",
            json!({"protectInUse": true}),
            "update organization o",
        ),
        (delete.clone(), "/v1/iam/organization/o", none.clone(), "delete organization o"),
        (delete, "/v1/iam/organization/o", none, ""),
        (
            post.clone(),
            "/v1/iam/serviceaccount",
            json!({"name": "ci", "publicKey": public_key()}),
            "create serviceaccount ci",
        ),
        (
            put,
            "/v1/iam/serviceaccount/ci",
            json!({"publicKey": public_key()}),
            "update serviceaccount ci",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_leaves_exactly_one_entry() {
    for database in Database::both().await {
        let server = Server::start_on(database, Options::default()).await;
        let mut expected = Vec::new();
        for (method, path, body, entry) in changes() {
            let status = call(&server, method.clone(), path, body).await;
            if !entry.is_empty() {
                assert!(status < 300, "{method} {path}: {status}");
                expected.push(entry.to_owned());
            }
        }
        let entries = log(&server).await;
        assert_eq!(said(&entries), expected);
        let verdict = verdict(&server).await;
        assert_eq!(
            (&verdict["right"], &verdict["entries"]),
            (&json!(true), &json!(expected.len()))
        );
        for entry in &entries {
            assert_eq!(entry.actor.to_string(), "local-admin");
            assert_eq!(entry.from.as_deref(), Some("127.0.0.1"));
            assert!(!entry.request_id.is_empty() && entry.link.is_some());
            let of_all = matches!(entry.resource.as_str(), "engine" | "content");
            assert_eq!(entry.organization.is_none(), of_all, "{entry:?}");
        }
        let update = &entries[1];
        let [before, after] = [&update.before, &update.after].map(|d| d.as_ref().unwrap().get());
        assert!(before.contains("CREATING") || before.contains("READY"), "{before}");
        assert!(after.contains("UPDATING"), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_images_and_dead_letters_too() {
    let server = Server::start().await;
    server.image("wasm").await;
    let never = json!({"schema": {"out": {"required": ["never"]}}});
    server.function("f", "wasm", ECHO, never).await;
    server.post("/v1/image/wasm/rebuild", Value::Null).await.expect(202);
    let prod = json!({"alias": "prod", "version": 1});
    server.post("/v1/function/f/rollout", prod).await.expect(202);
    for _ in 0..2 {
        server.post("/v1/runs?functionName=f", json!({})).await.expect(202);
    }
    let dead = eventually("both runs are dead", async || {
        let answer = server.get("/v1/deadletters").await;
        let names = answer.names();
        (names.len() == 2).then_some(names).ok_or(answer.text)
    })
    .await;
    let replay = format!("/v1/deadletters/{}/replay", dead[0]);
    server.post(&replay, Value::Null).await.expect(202);
    server.delete(&format!("/v1/deadletters/{}", dead[1])).await.expect(200);
    let entries = log(&server).await;
    let expected = [
        "create baseimage wasm-base".to_owned(),
        "create image wasm".to_owned(),
        "create function f".to_owned(),
        "rebuild image wasm".to_owned(),
        "rollout function f".to_owned(),
        format!("replay deadletters {}", dead[0]),
        format!("delete deadletters {}", dead[1]),
    ];
    assert_eq!(said(&entries), expected, "controllers and runs leave none");
    let rollout = entries[4].after.as_ref().unwrap().get();
    assert!(rollout.contains(r#""rollout""#), "{rollout}");
    assert!(!entries[2].after.as_ref().unwrap().get().contains("\"status\""));
}

#[tokio::test]
async fn a_canary_never_gets_there() {
    let server = Server::start().await;
    let secret = json!({"name": "db", "secrets": {"password": CANARY, "user": CANARY}});
    server.post("/v1/secret", secret.clone()).await.expect(201);
    server.put("/v1/secret/db", secret).await.expect(201);
    server.get("/v1/secret/db").await.expect(200);
    let request = server.request(Method::GET, &format!("/v1/secret?name={CANARY}"));
    send(request.bearer_auth(CANARY)).await.expect(401);
    let exported = server.get("/v1/audit?all=true&format=jsonlines").await.expect(200);
    assert_eq!(exported.text.lines().count(), 4, "{}", exported.text);
    assert!(!exported.text.contains(CANARY), "{}", exported.text);
    let entries = log(&server).await;
    assert_eq!(entries[0].text, "values of password, user");
    let after = entries[1].after.as_ref().unwrap().get();
    assert!(after.contains(r#""sealed":"(masked)""#), "{after}");
    let refused = &entries[3];
    assert_eq!(refused.actor.to_string(), "anonymous");
    assert_eq!(refused.text, "the token is not a JWT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_in_the_database_shows() {
    for database in Database::both().await {
        let mut server = Server::start_on(database, Options::default()).await;
        for name in ["a", "b", "c"] {
            server.post("/v1/application", json!({"name": name})).await.expect(200);
        }
        let before = verdict(&server).await;
        assert_eq!((&before["right"], &before["last"]), (&json!(true), &json!(3)));
        let kept = format!("3:{}", before["link"].as_str().unwrap());
        let expect = format!("/v1/audit/verify?expect={kept}");
        assert_eq!(server.get(&expect).await.expect(200).json()["right"], true);
        let other = format!("3:{}", Link::LOST);
        let other = server.get(&format!("/v1/audit/verify?expect={other}")).await.expect(200);
        assert_eq!(other.json()["broken"]["seq"], 3, "{}", other.text);
        let wrong = server.get("/v1/audit/verify?expect=3").await.expect(400).error();
        assert_eq!(wrong.field.as_deref(), Some("expect"));

        let store = server.running().app.store.clone();
        let hide =
            "UPDATE audit SET body = replace(body, 'local-admin', 'somebody-1') WHERE seq = 2";
        assert_eq!(store.tamper(hide).await.unwrap(), 1);
        let broken = verdict(&server).await;
        assert_eq!((&broken["right"], &broken["entries"]), (&json!(false), &json!(1)));
        assert_eq!(broken["broken"]["seq"], 2);
        let why = broken["broken"]["why"].as_str().unwrap();
        assert!(why.starts_with("entry 2 was changed"), "{why}");
        server.restart().await;
        server.post("/v1/application", json!({"name": "d"})).await.expect(200);
        assert_eq!(verdict(&server).await["broken"]["seq"], 2, "a restart mends nothing");
    }
}

/// Somebody who has kept the end of the log as it was, and puts it back with the entries gone.
#[tokio::test]
async fn going_back_shows_to_who_has_kept_a_link() {
    let server = Server::start().await;
    server.post("/v1/application", json!({"name": "a"})).await.expect(200);
    let store = server.running().app.store.clone();
    let keep = "INSERT INTO setting (name, value) SELECT 'kept', value FROM setting \
                WHERE name = 'audit.head'";
    store.tamper(keep).await.unwrap();
    server.post("/v1/application", json!({"name": "b"})).await.expect(200);
    let seen = verdict(&server).await;
    store.tamper("DELETE FROM audit WHERE seq = 2").await.unwrap();
    store
        .tamper(
            "UPDATE setting SET value = (SELECT value FROM setting WHERE name = 'kept') \
             WHERE name = 'audit.head'",
        )
        .await
        .unwrap();
    assert_eq!(verdict(&server).await["right"], true, "the log alone cannot know");
    let expect = format!("/v1/audit/verify?expect=2:{}", seen["link"].as_str().unwrap());
    let broken = server.get(&expect).await.expect(200).json();
    assert_eq!(broken["broken"]["seq"], 2, "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_requests_are_told_of_and_a_flood_is_bounded() {
    let iam = Iam::start().await;
    let body = json!({"name": "x", "secrets": {"k": CANARY}});
    for _ in 0..300 {
        iam.call("", Some("acme"), Method::GET, "/v1/secret/db", &Value::Null).await.expect(401);
    }
    iam.call("acme/one", None, Method::POST, "/v1/secret", &body).await.expect(403);
    iam.call("other/eve", Some("acme"), Method::DELETE, "/v1/secret/db", &body).await.expect(403);
    iam.call("other/eve", Some("nowhere"), Method::GET, "/v1/secret", &body).await.expect(403);
    iam.call("other/eve", None, Method::GET, "/v1/secret/none", &body).await.expect(404);
    let get = async |who, path: &str| {
        let answer = iam.call(who, None, Method::GET, path, &Value::Null).await.expect(200);
        answer.shape::<Vec<Entry>>()
    };
    let seen = get("acme/admin", "/v1/audit?outcome=refused").await;
    let mut seen: Vec<_> = seen
        .iter()
        .map(|e| (e.actor.to_string(), format!("{} {} {}", e.action, e.resource, e.name), e.count))
        .collect();
    seen.sort();
    let expected = [
        ("acme/one", "create secret ", 1),
        ("anonymous", "get secret db", 300),
        ("other/eve", "delete secret db", 1),
    ];
    let seen: Vec<_> =
        seen.iter().map(|(who, what, n)| (who.as_str(), what.as_str(), *n)).collect();
    let total: u64 = seen.iter().filter(|(who, ..)| *who == "anonymous").map(|(.., n)| n).sum();
    assert_eq!(total, 300, "{seen:?}");
    assert!(seen.len() < 3 + 30, "300 requests are few entries: {seen:?}");
    for one in expected.iter().filter(|(who, ..)| *who != "anonymous") {
        assert!(seen.contains(one), "{one:?}: {seen:?}");
    }
    let all = get("acme/admin", "/v1/audit?outcome=refused&all=true&actor=other/eve").await;
    let nowhere = all.iter().find(|entry| entry.organization.is_none()).unwrap();
    assert_eq!(nowhere.text, "eve may not get secret in organization nowhere");
    let metrics = iam.server.get("/metrics").await.expect(200).text;
    let refused = metrics.lines().find_map(|l| l.strip_prefix("dispatch_audit_refused_total "));
    assert_eq!(refused, Some("303"));
    assert!(metrics.lines().any(|line| line.starts_with("dispatch_audit_last ")), "{metrics}");
}

#[tokio::test]
async fn refused_requests_are_written_by_themselves() {
    let server = Server::start().await;
    send(server.request(Method::GET, "/v1/secret").bearer_auth("x")).await.expect(401);
    let store = server.running().app.store.clone();
    eventually("it is written", async || {
        let (written, last) = store.audit_stats();
        (written == 1).then_some(()).ok_or(last)
    })
    .await;
}

#[tokio::test]
async fn each_organization_reads_its_own() {
    let iam = Iam::start().await;
    let app = json!({"name": "app"});
    iam.call("acme/admin", None, Method::POST, "/v1/application", &app).await.expect(200);
    iam.call("other/eve", None, Method::POST, "/v1/application", &app).await.expect(200);
    let get = async |who, path: &str| iam.call(who, None, Method::GET, path, &Value::Null).await;
    let eve: Vec<Entry> = get("other/eve", "/v1/audit").await.expect(200).shape();
    assert!(eve.iter().all(|e| e.organization.as_deref() == Some("other")), "{eve:?}");
    assert!(eve.iter().any(|e| e.actor.to_string() == "other/eve" && e.name == "app"));
    assert!(eve.iter().any(|e| e.actor.to_string() == BOOT && e.resource == "policy"));
    for path in ["/v1/audit?all=true", "/v1/audit?all=true&format=jsonlines", "/v1/audit/verify"] {
        get("other/eve", path).await.expect(403);
        get("acme/admin", path).await.expect(200);
    }
    get("acme/one", "/v1/audit").await.expect(403);
}

/// The name of an organization that is gone may be another's one day.
#[tokio::test]
async fn what_happened_before_an_organization_is_not_its_own() {
    let iam = Iam::start().await;
    let boot = async |method: Method, path: &str, body: Value| {
        iam.call(BOOT, Some("acme"), method, path, &body).await
    };
    let (organizations, one) = ("/v1/iam/organization", "/v1/iam/organization/third");
    boot(Method::POST, organizations, json!({"name": "third"})).await.expect(201);
    boot(Method::DELETE, one, Value::Null).await.expect(200);
    let created = json!({"name": "third", "protectInUse": true});
    boot(Method::POST, organizations, created).await.expect(201);
    iam.account("third/tom").await;
    iam.policy("third", "tom", false, json!([rule("tom", &["*"], &["*"])])).await;
    let seen = iam.call("third/tom", None, Method::GET, "/v1/audit", &Value::Null).await;
    let mut seen: Vec<Entry> = seen.expect(200).shape();
    seen.reverse();
    let expected = ["create organization third", "create serviceaccount tom", "create policy tom"];
    assert_eq!(said(&seen), expected);
}

#[tokio::test]
async fn entries_are_filtered_and_paged() {
    let server = Server::start().await;
    for n in 0..5 {
        server.post("/v1/application", json!({"name": format!("a{n}")})).await.expect(200);
    }
    let page = server.get("/v1/audit?limit=2&resource=application").await.expect(200);
    let names = page.names();
    assert_eq!(names, ["a4", "a3"], "the newest first");
    let link = page.header("link").to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(server.get(next).await.expect(200).names(), ["a2", "a1"]);
    assert_eq!(server.get("/v1/audit?name=a3").await.expect(200).names(), ["a3"]);
    let id = page.json()[0]["requestId"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/audit?requestId={id}")).await.names(), ["a4"]);
    assert!(server.get("/v1/audit?since=99999999999").await.expect(200).names().is_empty());
    assert!(server.get("/v1/audit?until=1").await.expect(200).names().is_empty());
    for (query, field) in [
        ("outcome=maybe", "outcome"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("continue=x", "continue"),
        ("since=-1", "since"),
        ("format=xml", "format"),
        ("format=jsonlines&limit=1", "limit"),
        ("colour=red", "query"),
    ] {
        let error = server.get(&format!("/v1/audit?{query}")).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(field), "{query}: {error:?}");
    }
}

#[tokio::test]
async fn an_export_is_a_chain_and_a_batch_of_events() {
    let server = Server::start().await;
    let empty = server.get("/v1/audit?format=cloudevents").await.expect(200);
    assert_eq!(empty.json(), json!([]));
    // More than one reading of the log.
    for n in 0..450 {
        server.post("/v1/application", json!({"name": format!("a{n}")})).await.expect(200);
    }
    let lines = server.get("/v1/audit?all=true&format=jsonlines").await.expect(200);
    assert_eq!(lines.header("content-type"), "application/jsonl");
    let mut last = Link::FIRST;
    let mut seq = 0;
    for line in lines.text.lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        last = last.then(&entry.canonical().unwrap());
        seq += 1;
        assert_eq!((entry.seq, entry.link), (seq, Some(last)));
    }
    assert_eq!(seq, 450);
    assert_eq!(verdict(&server).await["link"], last.to_string());

    let events = server.get("/v1/audit?all=true&format=cloudevents").await.expect(200);
    assert_eq!(events.header("content-type"), "application/cloudevents-batch+json");
    let events: Vec<Value> = events.shape();
    assert_eq!(events.len(), 450);
    let event = &events[449];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], "450");
    assert_eq!(event["type"], "io.dispatchframework.audit.application.create");
    assert_eq!(event["subject"], "dispatch/application/a449");
    assert_eq!(event["data"]["link"], last.to_string());
    let time = event["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
}

#[tokio::test]
async fn old_entries_go_and_the_rest_stays_right() {
    let settings = "[audit]\nmax_age_s = 1".to_owned();
    let server = Server::start_with(Options { settings }).await;
    for name in ["a", "b"] {
        server.post("/v1/application", json!({"name": name})).await.expect(200);
    }
    let audit = server.running().app.audit.clone();
    let left = eventually("both are too old", async || {
        audit.retain().await.unwrap();
        let left = log(&server).await;
        left.iter().all(|entry| entry.action == "cut").then_some(left).ok_or("not yet")
    })
    .await;
    let text = &left[left.len() - 1].text;
    assert!(text.starts_with("entries up to ") && text.contains("audit.max_age_s"), "{text}");
    let right = verdict(&server).await;
    assert_eq!(right["right"], true);
    assert_eq!(right["entries"], left.len());
    assert_eq!(right["first"], left[0].seq);
    assert!(left[0].seq > 2);
    let gone = format!("/v1/audit/verify?expect=1:{}", Link::FIRST);
    let error = server.get(&gone).await.expect(400).error();
    assert!(error.message.contains("audit.max_age_s"), "{error:?}");
}

/// Whichever call of the store fails, a change that happened is told of, and one that did not is
/// not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_and_entry_are_never_apart() {
    for database in Database::both().await {
        let server = Server::start_on(database.clone(), Options::default()).await;
        let file = format!("sqlite:{}/dispatch.db", server.data_dir().display());
        let url = if database.is_sqlite() { file } else { database.url().to_owned() };
        let faults = Faults::of(&url);
        let mut failed = 0;
        for nth in 1..=12 {
            for (kind, body) in [
                ("secret", json!({"name": format!("x{nth}"), "secrets": {"k": "v"}})),
                ("iam/organization", json!({"name": format!("x{nth}")})),
            ] {
                faults.arm(nth);
                let made = server.post(&format!("/v1/{kind}"), body).await;
                failed += u32::from(faults.disarm());
                assert!(made.status == 201 || made.status >= 500, "{made:?}");
                let there = server.all(&format!("/v1/{kind}")).await;
                let there = there.iter().filter(|r| r["name"] == format!("x{nth}")).count();
                let word = kind.rsplit('/').next().unwrap();
                let query = format!("/v1/audit?all=true&name=x{nth}&resource={word}");
                let told = server.get(&query).await.expect(200).names();
                assert_eq!(told.len(), there, "{kind} {nth}: {told:?}");
                assert!(made.status != 201 || there == 1);
            }
        }
        assert!(failed > 2, "the faults met nothing");
        assert_eq!(verdict(&server).await["right"], true);
    }
}

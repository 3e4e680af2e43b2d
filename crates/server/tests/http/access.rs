//! Rights on single things, on applications, under conditions; and those who try to get more.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_testkit::{Answer, eventually, send};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{BOOT, Iam, public_key, rule};

const ONE: &str = "acme/one";

async fn call(iam: &Iam, method: Method, path: &str, body: Value) -> Answer {
    iam.call(ONE, None, method, path, &body).await
}

async fn get(iam: &Iam, path: &str) -> Answer {
    call(iam, Method::GET, path, Value::Null).await
}

async fn admin(iam: &Iam, method: Method, path: &str, body: Value) -> Answer {
    iam.call("acme/admin", None, method, path, &body).await
}

/// Gives acme/one these rules and no others.
async fn may(iam: &Iam, rules: Value) {
    iam.policy("acme", "one", false, rules).await;
}

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn secret(name: &str, tags: Value) -> Value {
    json!({"name": name, "secrets": {"k": "v"}, "tags": tags})
}

/// Secrets shop-a and shop-b of the application shop, of which the second is tagged for production,
/// and other, which is of none.
async fn secrets(iam: &Iam) {
    let shop = ("Application", "shop");
    for (name, tags) in [
        ("shop-a", tags(&[shop])),
        ("shop-b", tags(&[shop, ("stage", "prod")])),
        ("other", tags(&[])),
    ] {
        admin(iam, Method::POST, "/v1/secret", secret(name, tags)).await.expect(201);
    }
}

fn in_shop(mut rule: Value) -> Value {
    rule["applications"] = json!(["shop"]);
    rule
}

fn deny(mut rule: Value) -> Value {
    rule["effect"] = "deny".into();
    rule
}

fn when(mut rule: Value, condition: Value) -> Value {
    rule["condition"] = condition;
    rule
}

#[tokio::test]
async fn a_rule_of_one_thing_reaches_that_thing_only() {
    let iam = Iam::start().await;
    secrets(&iam).await;
    may(&iam, json!([rule("one", &["*"], &["secret/shop-a", "secret/new-*"])])).await;
    get(&iam, "/v1/secret/shop-a").await.expect(200);
    let refused = get(&iam, "/v1/secret/other").await.expect(403).error();
    assert_eq!(refused.message, "one may not get secret other in organization acme");
    // Whether there is one is for those who may ask.
    get(&iam, "/v1/secret/nothing").await.expect(404);
    assert_eq!(get(&iam, "/v1/secret").await.expect(200).names(), ["shop-a"]);
    let made = |name: &str| secret(name, tags(&[]));
    call(&iam, Method::POST, "/v1/secret", made("new-x")).await.expect(201);
    call(&iam, Method::POST, "/v1/secret", made("x")).await.expect(403);
    call(&iam, Method::PUT, "/v1/secret/other", json!({"secrets": {}})).await.expect(403);
    call(&iam, Method::DELETE, "/v1/secret/other", Value::Null).await.expect(403);
    call(&iam, Method::DELETE, "/v1/secret/new-x", Value::Null).await.expect(204);
    get(&iam, "/v1/function").await.expect(403);
    // Whoever may do nothing is told the same of what is there and of what is not.
    may(&iam, json!([rule("one", &["get"], &["runs"])])).await;
    let there = get(&iam, "/v1/secret/other").await.expect(403).error().message;
    assert_eq!(get(&iam, "/v1/secret/nothing").await.expect(403).error().message, there);
}

#[tokio::test]
async fn a_rule_of_an_application_reaches_its_things_and_nobody_moves_them_out() {
    let iam = Iam::start().await;
    secrets(&iam).await;
    may(&iam, json!([in_shop(rule("one", &["*"], &["secret"]))])).await;
    assert_eq!(get(&iam, "/v1/secret").await.expect(200).names(), ["shop-a", "shop-b"]);
    get(&iam, "/v1/secret/other").await.expect(403);
    let shop = || tags(&[("Application", "shop")]);
    call(&iam, Method::POST, "/v1/secret", secret("n", shop())).await.expect(201);
    call(&iam, Method::POST, "/v1/secret", secret("m", tags(&[]))).await.expect(403);
    // Out of the application, into it, and into another.
    let put = async |name: &str, tags: Value| {
        call(&iam, Method::PUT, &format!("/v1/secret/{name}"), secret(name, tags)).await
    };
    put("shop-a", shop()).await.expect(201);
    put("shop-a", tags(&[])).await.expect(403);
    put("shop-a", tags(&[("Application", "other")])).await.expect(403);
    put("other", shop()).await.expect(403);
}

#[tokio::test]
async fn what_is_denied_stays_denied_whatever_its_tags_become() {
    let iam = Iam::start().await;
    secrets(&iam).await;
    let prod = json!({"tags": [{"key": "stage", "value": "prod"}]});
    let all = rule("one", &["*"], &["secret"]);
    let no = when(deny(rule("one", &["*"], &["secret"])), prod);
    may(&iam, json!([all, no])).await;
    assert_eq!(get(&iam, "/v1/secret").await.expect(200).names(), ["other", "shop-a"]);
    get(&iam, "/v1/secret/shop-b").await.expect(403);
    let untagged = secret("shop-b", tags(&[]));
    call(&iam, Method::PUT, "/v1/secret/shop-b", untagged).await.expect(403);
    call(&iam, Method::DELETE, "/v1/secret/shop-b", Value::Null).await.expect(403);
    let tagged = secret("other", tags(&[("stage", "prod")]));
    call(&iam, Method::PUT, "/v1/secret/other", tagged).await.expect(403);
}

#[tokio::test]
async fn pages_of_a_filtered_list_lead_to_all_that_may_be_read() {
    let iam = Iam::start().await;
    for at in 0..12 {
        let name = format!("{}{at:02}", if at % 3 == 0 { "mine-" } else { "theirs-" });
        admin(&iam, Method::POST, "/v1/secret", secret(&name, tags(&[]))).await.expect(201);
    }
    may(&iam, json!([rule("one", &["get"], &["secret/mine-*"])])).await;
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(&iam, &format!("/v1/secret?limit=3&sort=created{next}")).await.expect(200);
        names.extend(page.names());
        match page.header("x-dispatch-continue") {
            "" => break,
            token => next = format!("&continue={token}"),
        }
    }
    assert_eq!(names, ["mine-00", "mine-03", "mine-06", "mine-09"]);
}

#[tokio::test]
async fn a_watch_tells_only_of_what_may_be_read() {
    let iam = Iam::start().await;
    secrets(&iam).await;
    may(&iam, json!([in_shop(rule("one", &["get"], &["secret"]))])).await;
    // The number of an event that was, so that all later ones are owed to who sees all.
    let path = "/v1/secret?watch=true";
    let request = iam.request(ONE, Method::GET, path).header("last-event-id", "1");
    let response = request.send().await.unwrap();
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    let mut seen = async |until: &str| {
        while !text.contains(until) {
            let chunk = tokio::time::timeout(Duration::from_secs(20), chunks.next()).await;
            text += &String::from_utf8_lossy(&chunk.expect(until).unwrap().unwrap());
        }
        std::mem::take(&mut text)
    };
    assert!(seen("shop-b").await.contains("shop-a"));
    admin(&iam, Method::DELETE, "/v1/secret/other", Value::Null).await.expect(204);
    let hidden = secret("hidden", tags(&[]));
    admin(&iam, Method::POST, "/v1/secret", hidden).await.expect(201);
    // One that leaves the application is gone for this watcher.
    let moved = secret("shop-a", tags(&[]));
    admin(&iam, Method::PUT, "/v1/secret/shop-a", moved).await.expect(201);
    let told = seen("shop-a").await;
    assert!(told.contains("DELETED"), "{told}");
    let shown = secret("shown", tags(&[("Application", "shop")]));
    admin(&iam, Method::POST, "/v1/secret", shown).await.expect(201);
    let told = told + &seen("shown").await;
    assert!(!told.contains("other") && !told.contains("hidden"), "{told}");
}

#[tokio::test]
async fn runs_are_things_of_their_function() {
    let iam = Iam::start().await;
    may(&iam, json!([rule("one", &["create", "get"], &["runs/mine"])])).await;
    let run = |function: &str| format!("/v1/runs?functionName={function}");
    call(&iam, Method::POST, &run("mine"), json!({})).await.expect(404);
    call(&iam, Method::POST, &run("theirs"), json!({})).await.expect(403);
    assert_eq!(get(&iam, "/v1/runs").await.expect(200).names(), [""; 0]);
    call(&iam, Method::DELETE, "/v1/deadletters/x", Value::Null).await.expect(403);
    // Of a function that is gone, nobody knows whether it was tagged so.
    let prod = json!({"tags": [{"key": "stage", "value": "prod"}]});
    let all = rule("one", &["*"], &["runs"]);
    may(&iam, json!([all, when(deny(rule("one", &["*"], &["runs"])), prod)])).await;
    call(&iam, Method::POST, &run("gone"), json!({})).await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_function_that_was_are_not_those_of_one_that_has_its_name() {
    let iam = Iam::start().await;
    let base = json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"});
    admin(&iam, Method::POST, "/v1/baseimage", base).await.expect(201);
    let image = json!({"name": "wasm", "baseImageName": "base"});
    admin(&iam, Method::POST, "/v1/image", image).await.expect(201);
    let source = STANDARD.encode(include_bytes!("../../../../examples/wasm/echo.wat"));
    let make = async |application: &str| {
        let function = json!({"name": "f", "image": "wasm", "source": source,
            "tags": tags(&[("Application", application)])});
        admin(&iam, Method::POST, "/v1/function", function).await.expect(201);
        let run = json!({"functionName": "f", "blocking": true, "input": application});
        eventually("it runs", async || {
            let answer = admin(&iam, Method::POST, "/v1/runs", run.clone()).await;
            (answer.status == 200).then(|| answer.json()).ok_or(answer.text)
        })
        .await
    };
    let before = make("vault").await;
    admin(&iam, Method::DELETE, "/v1/function/f?keepRuns=true", Value::Null).await.expect(200);
    eventually("it is gone", async || {
        let answer = admin(&iam, Method::GET, "/v1/function/f", Value::Null).await;
        (answer.status == 404).then_some(()).ok_or(answer.text)
    })
    .await;
    let now = make("shop").await;
    may(&iam, json!([in_shop(rule("one", &["get"], &["runs"]))])).await;
    let id = |run: &Value| run["name"].as_str().unwrap().to_owned();
    assert_eq!(get(&iam, "/v1/runs").await.expect(200).names(), [id(&now)]);
    get(&iam, &format!("/v1/runs/{}", id(&now))).await.expect(200);
    get(&iam, &format!("/v1/runs/{}", id(&before))).await.expect(403);
}

#[tokio::test]
async fn conditions_hold_when_they_should() {
    let iam = Iam::start().await;
    secrets(&iam).await;
    let read = || rule("one", &["get"], &["secret"]);
    let path = "/v1/secret/other";
    for (condition, code) in [
        (json!({"sourceAddresses": ["127.0.0.0/8"]}), 200),
        (json!({"sourceAddresses": ["10.0.0.0/8", "::1"]}), 403),
        (json!({"notBefore": "2020-01-01T00:00:00Z"}), 200),
        (json!({"notBefore": 4_000_000_000_i64}), 403),
        (json!({"notAfter": "2020-01-01T00:00:00Z"}), 403),
        (json!({"notAfter": 4_000_000_000_i64}), 200),
        (json!({"hours": {"from": "00:00", "to": "24:00"}}), 200),
        (json!({"tags": [{"key": "stage", "value": "prod"}]}), 403),
    ] {
        may(&iam, json!([when(read(), condition.clone())])).await;
        let got = get(&iam, path).await;
        assert_eq!(got.status, code, "{condition}: {}", got.text);
        may(&iam, json!([read(), when(deny(read()), condition.clone())])).await;
        let got = get(&iam, path).await;
        assert_eq!(got.status, 603 - code, "unless {condition}: {}", got.text);
    }
    let zone =
        json!({"hours": {"from": "00:00", "to": "24:00", "timeZone": "Atlantis/Poseidonis"}});
    let policy = json!({"name": "p", "rules": [when(read(), zone)]});
    let error = admin(&iam, Method::POST, "/v1/iam/policy", policy).await.expect(400).error();
    assert_eq!(error.field.as_deref(), Some("rules[0].condition.hours.timeZone"));
}

#[tokio::test]
async fn nobody_gives_what_they_lack() {
    let iam = Iam::start().await;
    may(&iam, json!([rule("one", &["*"], &["iam"]), rule("one", &["get"], &["secret/shop-*"])]))
        .await;
    let policy = |rules: Value| json!({"name": "p", "rules": rules});
    let attempt = async |rules: Value| {
        let refused = call(&iam, Method::POST, "/v1/iam/policy", policy(rules)).await;
        refused.expect(403).error().message
    };
    let said = attempt(json!([rule("one", &["create"], &["function"])])).await;
    assert!(said.starts_with("one may not do this: "), "{said}");
    assert!(said.contains("create on function in organization acme"), "{said}");
    for wider in [
        rule("bob", &["*"], &["*"]),
        rule("bob", &["get"], &["*"]),
        rule("bob", &["get"], &["secret"]),
        rule("bob", &["get"], &["secret/*"]),
        rule("bob", &["get"], &["secret/shop*"]),
        rule("bob", &["*"], &["secret/shop-a"]),
        rule("group:ops", &["delete"], &["function"]),
        rule("*", &["get"], &["runs"]),
        in_shop(rule("bob", &["get"], &["secret"])),
        json!({"subjects": ["bob"], "roles": ["viewer"]}),
        when(rule("bob", &["get"], &["runs"]), json!({"sourceAddresses": ["127.0.0.1"]})),
    ] {
        attempt(json!([rule("bob", &["get"], &["iam"]), wider])).await;
    }
    let narrower =
        json!([rule("bob", &["get"], &["secret/shop-a"]), rule("bob", &["get"], &["iam"])]);
    call(&iam, Method::POST, "/v1/iam/policy", policy(narrower)).await.expect(201);
    let put = policy(json!([rule("bob", &["*"], &["*"])]));
    call(&iam, Method::PUT, "/v1/iam/policy/p", put).await.expect(403);
    let global = json!({"rules": [rule("bob", &["get"], &["iam"])], "global": true});
    call(&iam, Method::PUT, "/v1/iam/policy/p", global).await.expect(403);
    // A role that is not there may be anything one day.
    let unknown = policy(json!([{"subjects": ["bob"], "roles": ["later"]}]));
    call(&iam, Method::PUT, "/v1/iam/policy/p", unknown).await.expect(400);
}

#[tokio::test]
async fn nobody_gets_more_by_way_of_roles_groups_and_accounts() {
    let iam = Iam::start().await;
    let role = |actions: &[&str], resources: &[&str]| {
        let permission = json!({"actions": actions, "resources": resources});
        json!({"name": "r", "permissions": [permission]})
    };
    let group = |members: &[&str]| json!({"name": "g", "members": members});
    admin(&iam, Method::POST, "/v1/iam/role", role(&["get"], &["iam"])).await.expect(201);
    admin(&iam, Method::POST, "/v1/iam/group", group(&[])).await.expect(201);
    let given = json!([
        {"subjects": ["one"], "roles": ["r"]},
        rule("group:g", &["*"], &["*"]),
        rule("bob", &["*"], &["*"]),
    ]);
    iam.policy("acme", "given", false, given).await;
    may(&iam, json!([rule("one", &["*"], &["iam"])])).await;
    for (path, body) in [
        ("/v1/iam/role/r", role(&["get"], &["*"])),
        ("/v1/iam/role/r", role(&["delete"], &["function/x"])),
        ("/v1/iam/group/g", group(&["one"])),
        ("/v1/iam/group/g", group(&["somebody"])),
    ] {
        let refused = call(&iam, Method::PUT, path, body.clone()).await;
        assert!(refused.expect(403).error().message.contains("lacking"), "{body}");
    }
    call(&iam, Method::PUT, "/v1/iam/role/r", role(&["update"], &["iam"])).await.expect(200);
    // An account of a name that policies give something to already, and the key of one.
    let account = |name: &str, key: &str| json!({"name": name, "publicKey": key});
    let path = "/v1/iam/serviceaccount";
    call(&iam, Method::POST, path, account("bob", &public_key())).await.expect(403);
    call(&iam, Method::POST, path, account("eve", &public_key())).await.expect(201);
    admin(&iam, Method::POST, path, account("bob", &public_key())).await.expect(201);
    let taken = account("bob", &crate::revocation::rsa_key());
    call(&iam, Method::PUT, "/v1/iam/serviceaccount/bob", taken).await.expect(403);
    let same = account("bob", &public_key());
    call(&iam, Method::PUT, "/v1/iam/serviceaccount/bob", same).await.expect(200);
}

#[tokio::test]
async fn a_denial_is_not_lifted_by_whom_it_keeps_out() {
    let iam = Iam::start().await;
    may(&iam, json!([rule("one", &["*"], &["iam"]), rule("one", &["*"], &["secret"])])).await;
    let denial = json!([deny(rule("one", &["delete"], &["function", "secret"]))]);
    iam.policy("acme", "no", false, denial).await;
    call(&iam, Method::DELETE, "/v1/iam/policy/no", Value::Null).await.expect(403);
    let narrower = json!({"rules": [deny(rule("one", &["delete"], &["secret"]))]});
    call(&iam, Method::PUT, "/v1/iam/policy/no", narrower).await.expect(403);
    let same = json!({"rules": [deny(rule("one", &["delete"], &["function", "secret"]))],
        "tags": [{"key": "seen", "value": "yes"}]});
    call(&iam, Method::PUT, "/v1/iam/policy/no", same).await.expect(200);
    admin(&iam, Method::DELETE, "/v1/iam/policy/no", Value::Null).await.expect(200);
}

#[tokio::test]
async fn roles_that_all_have_are_listed_and_stay_as_they_are() {
    let iam = Iam::start().await;
    may(&iam, json!([rule("one", &["*"], &["*"])])).await;
    let own = json!({"name": "auditor",
        "permissions": [{"actions": ["get"], "resources": ["iam", "runs"]}]});
    call(&iam, Method::POST, "/v1/iam/role", own.clone()).await.expect(201);
    let all = get(&iam, "/v1/iam/role").await.expect(200);
    let built_in = ["admin", "operator", "developer", "invoker", "viewer"];
    assert_eq!(all.names(), [&built_in[..], &["auditor"]].concat());
    assert_eq!(
        (&all.json()[0]["builtIn"], &all.json()[5]["builtIn"]),
        (&json!(true), &Value::Null)
    );
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(&iam, &format!("/v1/iam/role?limit=2{next}")).await.expect(200);
        assert!(page.names().len() <= 2);
        names.extend(page.names());
        match page.header("x-dispatch-continue") {
            "" => break,
            token => next = format!("&continue={token}"),
        }
    }
    assert_eq!(names, all.names());
    assert_eq!(get(&iam, "/v1/iam/role?name=viewer").await.expect(200).names(), ["viewer"]);
    let viewer = get(&iam, "/v1/iam/role/viewer").await.expect(200).json();
    assert_eq!(viewer["permissions"][0]["actions"], json!(["get"]));
    let mut mine = own;
    mine["name"] = "admin".into();
    let error = call(&iam, Method::POST, "/v1/iam/role", mine.clone()).await.expect(400).error();
    assert_eq!(error.field.as_deref(), Some("name"));
    call(&iam, Method::PUT, "/v1/iam/role/admin", mine).await.expect(400);
    call(&iam, Method::DELETE, "/v1/iam/role/admin", Value::Null).await.expect(400);
}

#[tokio::test]
async fn roles_and_groups_that_policies_name_stay() {
    let iam = Iam::start().await;
    let role = json!({"name": "r", "permissions": [{"actions": ["get"], "resources": ["*"]}]});
    admin(&iam, Method::POST, "/v1/iam/role", role).await.expect(201);
    let group = json!({"name": "g", "members": ["one"]});
    admin(&iam, Method::POST, "/v1/iam/group", group).await.expect(201);
    let rules = json!([{"subjects": ["group:g"], "roles": ["r"]}]);
    iam.policy("acme", "p", false, rules).await;
    get(&iam, "/v1/secret").await.expect(200);
    for (path, what) in [("/v1/iam/role/r", "role r"), ("/v1/iam/group/g", "group g")] {
        let error = admin(&iam, Method::DELETE, path, Value::Null).await.expect(409).error();
        assert_eq!(error.message, format!("{what} is used by policy p"));
    }
    for selector in ["role=r", "group=g"] {
        let path = format!("/v1/iam/policy?{selector}");
        assert_eq!(admin(&iam, Method::GET, &path, Value::Null).await.names(), ["p"]);
    }
    admin(&iam, Method::DELETE, "/v1/iam/policy/p", Value::Null).await.expect(200);
    for path in ["/v1/iam/role/r", "/v1/iam/group/g"] {
        let stale = iam.request("acme/admin", Method::DELETE, path).header("if-match", "\"9\"");
        send(stale).await.expect(412);
        admin(&iam, Method::DELETE, path, Value::Null).await.expect(200);
    }
    get(&iam, "/v1/secret").await.expect(403);
    iam.call(BOOT, Some("acme"), Method::GET, "/v1/iam/role", &Value::Null).await.expect(200);
}

#[tokio::test]
async fn what_a_policy_lists_by_its_roles_is_bounded() {
    let iam = Iam::start().await;
    let by = async |method: Method, path: &str, body: Value| {
        iam.call(BOOT, Some("acme"), method, path, &body).await
    };
    let role = |name: &str, count: usize| {
        let resources: Vec<String> = (0..count).map(|n| format!("secret/s{n}")).collect();
        json!({"name": name, "permissions": [{"actions": ["get"], "resources": resources}]})
    };
    let names = ["w0", "w1", "w2", "w3"];
    for name in names {
        by(Method::POST, "/v1/iam/role", role(name, 250)).await.expect(201);
    }
    let policy = |rules: usize| {
        let rule = json!({"subjects": ["one"], "roles": names});
        json!({"name": "p", "rules": vec![rule; rules]})
    };
    let refused = by(Method::POST, "/v1/iam/policy", policy(11)).await.expect(400).json();
    assert_eq!(refused["field"], "rules", "{refused}");
    by(Method::POST, "/v1/iam/policy", policy(10)).await.expect(201);
    let grown = by(Method::PUT, "/v1/iam/role/w0", role("w0", 251)).await.expect(400).json();
    assert!(grown["message"].as_str().unwrap().contains("policy p"), "{grown}");
    by(Method::PUT, "/v1/iam/role/w0", role("w0", 249)).await.expect(200);
}

//! What one may do, and why.

use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{BOOT, Iam, rule};

async fn ask(iam: &Iam, who: &str, org: Option<&str>, query: &str) -> Value {
    let path = format!("/v1/iam/can-i?{query}");
    iam.call(who, org, Method::GET, &path, &Value::Null).await.expect(200).json()
}

#[tokio::test]
async fn the_policy_that_decided_is_named() {
    let iam = Iam::start().await;
    let shop = json!({"subjects": ["one"], "roles": ["developer"], "applications": ["shop"]});
    let mut deny = rule("one", &["delete"], &["function/checkout"]);
    deny["effect"] = "deny".into();
    let rules = json!([rule("one", &["*"], &["secret", "function"]), shop, deny]);
    iam.policy("acme", "ones", false, rules).await;
    let one = async |query: &str| ask(&iam, "acme/one", None, query).await;

    let yes = one("action=create&resource=function&explain=true").await;
    assert_eq!(yes["allowed"], true, "{yes}");
    let by = json!({"policy": "ones", "organization": "acme", "rule": 0, "effect": "allow"});
    assert_eq!(yes["decidedBy"], by);
    assert_eq!(yes["reason"], "allowed by rule 0 of policy ones of organization acme");
    assert!(one("action=create&resource=function").await.get("reason").is_none());

    let no = one("action=delete&resource=function&name=checkout&explain=true").await;
    assert_eq!((&no["allowed"], &no["decidedBy"]["effect"]), (&json!(false), &json!("deny")));
    assert_eq!(one("action=delete&resource=function&name=cart").await["allowed"], true);
    // All functions are not, as one is not.
    assert_eq!(one("action=delete&resource=function").await["allowed"], false);

    let api = "action=create&resource=api&explain=true";
    let no = one(api).await;
    assert_eq!(no["allowed"], false);
    assert!(no["reason"].as_str().unwrap().contains("of some it is allowed"), "{no}");
    let yes = one(&format!("{api}&tags=Application=shop")).await;
    assert_eq!((&yes["allowed"], &yes["decidedBy"]["role"]), (&json!(true), &json!("developer")));
    let yes = one(&format!("{api}&name=x&tags=Application=shop")).await;
    assert_eq!(yes["allowed"], true);
    // A thing that is there is asked about as it is.
    let app = json!({"name": "a", "tags": [{"key": "Application", "value": "shop"}]});
    let path = "/v1/application";
    iam.call("acme/admin", None, Method::POST, path, &app).await.expect(200);
    assert_eq!(one("action=update&resource=application&name=a").await["allowed"], true);
    assert_eq!(one("action=update&resource=application&name=b").await["allowed"], false);
}

#[tokio::test]
async fn strangers_and_others_learn_nothing() {
    let iam = Iam::start().await;
    iam.policy("acme", "ones", false, json!([rule("one", &["get"], &["runs"])])).await;
    iam.policy("acme", "rest", false, json!([rule("rest", &["get"], &["secret"])])).await;
    let get = "action=get&resource=secret&explain=true";
    // What others may do is shown to those who may read it.
    let no = ask(&iam, "acme/one", None, get).await;
    assert!(!no["reason"].as_str().unwrap().contains("rest"), "{no}");
    for org in ["acme", "none"] {
        let no = ask(&iam, "other/eve", Some(org), get).await;
        assert_eq!(no["allowed"], false);
        assert!(!no["reason"].as_str().unwrap().contains("acme"), "{no}");
    }
    let path = "/v1/iam/can-i?action=get&resource=secret&as=rest";
    iam.call("acme/one", None, Method::GET, path, &Value::Null).await.expect(403);
    let yes = ask(&iam, "acme/admin", None, "action=get&resource=secret&as=rest").await;
    assert_eq!((&yes["allowed"], &yes["subject"]), (&json!(true), &json!("rest")));
    let boot = ask(&iam, BOOT, Some("acme"), "action=get&resource=iam&explain=true").await;
    assert_eq!(boot["reason"], "the bootstrap user works on iam, and on nothing else");
}

#[tokio::test]
async fn questions_that_cannot_be_answered_name_the_field() {
    let iam = Iam::start().await;
    for (query, field) in [
        ("resource=function", "action"),
        ("action=read&resource=function", "action"),
        ("action=get", "resource"),
        ("action=get&resource=functions", "resource"),
        ("action=get&resource=function&tags=x", "tags"),
        ("action=get&resource=function&who=me", "who"),
    ] {
        let path = format!("/v1/iam/can-i?{query}");
        let got = iam.call("acme/one", None, Method::GET, &path, &Value::Null).await;
        assert_eq!(got.expect(400).error().field.as_deref(), Some(field), "{query}");
    }
}

#[tokio::test]
async fn all_that_one_may_do_is_listed() {
    let iam = Iam::start().await;
    let group = json!({"name": "ops", "members": ["one"]});
    iam.call("acme/admin", None, Method::POST, "/v1/iam/group", &group).await.expect(201);
    let mut deny = rule("*", &["delete"], &["secret"]);
    deny["effect"] = "deny".into();
    let rules = json!([
        rule("one", &["get"], &["secret"]),
        {"subjects": ["group:ops"], "roles": ["invoker"], "applications": ["shop"]},
        rule("rest", &["get"], &["function"]),
        deny,
    ]);
    iam.policy("acme", "p", false, rules).await;
    let path = "/v1/iam/rights";
    let list = async |who: &str, org: Option<&str>, path: &str| {
        iam.call(who, org, Method::GET, path, &Value::Null).await
    };
    let mine = list("acme/one", None, path).await.expect(200).json();
    assert_eq!(mine.as_array().unwrap().len(), 3, "{mine}");
    let invoker = json!({"effect": "allow", "actions": ["get", "create"], "resources": ["runs"],
        "applications": ["shop"], "role": "invoker", "policy": "p", "organization": "acme"});
    assert_eq!(mine[1], invoker);
    assert_eq!(mine[2]["effect"], "deny");
    assert_eq!(list("acme/admin", None, &format!("{path}?as=one")).await.json(), mine);
    list("acme/one", None, &format!("{path}?as=rest")).await.expect(403);
    // Rules of an organization are for its own; others see nothing of it.
    list("other/eve", Some("acme"), path).await.expect(403);
    let everywhere = list("acme/admin", Some("other"), path).await.expect(200).json();
    assert_eq!(everywhere[0]["policy"], "admin");
}

#[tokio::test]
async fn nothing_tells_whether_another_organization_is_there() {
    let iam = Iam::start().await;
    for path in [
        "/v1/iam/can-i?action=get&resource=function&explain=true",
        "/v1/iam/rights",
        "/v1/iam/auth",
        "/v1/iam/session",
        "/v1/function",
    ] {
        let ask = async |org: &str| {
            let answer = iam.call("other/eve", Some(org), Method::GET, path, &Value::Null).await;
            let mut body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            if let Some(body) = body.as_object_mut() {
                body.remove("requestId");
            }
            (answer.status, body.to_string().replace(org, "ORG"))
        };
        assert_eq!(ask("acme").await, ask("none").await, "{path}");
    }
}

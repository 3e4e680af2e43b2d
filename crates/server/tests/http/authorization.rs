//! Every operation of the API document × who may and may not call it. What an operation asks for
//! stands in one table; an operation that is not in it fails the test, as does one that asks for
//! more or for less.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_access::RESOURCES;
use dispatch_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::{Iam, public_key, rule};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    SigningIn,
    /// This action on this resource.
    Right(&'static str, &'static str),
    /// The same by a rule that holds in every organization.
    Everywhere(&'static str, &'static str),
}
use Asks::{Everywhere, Nothing, Right, SigningIn};

/// Operation, what it asks for, what it is called on, and what who may call it gets. In an order in
/// which all succeed, but for those of content, which what runs on the machine itself has not.
const TABLE: &[(&str, Asks, &str, u16)] = &[
    ("version", Nothing, "", 200),
    ("iam_redirect", Nothing, "", 501),
    ("iam_oauth2_start", Nothing, "", 501),
    ("iam_oauth2_password", Nothing, "", 501),
    ("iam_oauth2_callback", Nothing, "", 401),
    // A session of its own is what none of these has.
    ("iam_oauth2_logout", SigningIn, "", 404),
    ("identity_provider_list", Nothing, "", 200),
    ("session_create", Nothing, "", 400),
    ("session_device", Nothing, "", 400),
    ("session_list", SigningIn, "", 200),
    ("session_get", Right("get", "iam"), "x", 404),
    ("session_delete", Right("delete", "iam"), "x", 404),
    ("iam_auth", SigningIn, "", 202),
    // Asks for a credential that is no caller's.
    ("bootstrap_claim", Nothing, "", 401),
    ("signing_key", Nothing, "", 200),
    ("prune", Everywhere("delete", "iam"), "?dryRun=true", 200),
    ("vulnerability_list", Right("get", "image"), "", 200),
    ("vulnerability_database", Right("get", "image"), "", 204),
    ("vulnerability_import", Everywhere("update", "iam"), "", 400),
    ("image_policy_create", Right("create", "imagepolicy"), "", 201),
    ("image_policy_list", Right("get", "imagepolicy"), "", 200),
    ("image_policy_get", Right("get", "imagepolicy"), "x", 200),
    ("image_policy_update", Right("update", "imagepolicy"), "x", 200),
    ("image_policy_delete", Right("delete", "imagepolicy"), "x", 200),
    ("engine_create", Everywhere("create", "engine"), "", 201),
    ("engine_list", Right("get", "engine"), "", 200),
    ("engine_get", Right("get", "engine"), "x", 200),
    ("engine_update", Everywhere("update", "engine"), "x", 200),
    ("engine_cordon", Everywhere("update", "engine"), "x", 200),
    ("engine_uncordon", Everywhere("update", "engine"), "x", 200),
    ("engine_drain", Everywhere("update", "engine"), "x", 200),
    ("engine_undrain", Everywhere("update", "engine"), "x", 200),
    ("engine_delete", Everywhere("delete", "engine"), "x", 200),
    ("engine_type_list", Right("get", "engine"), "", 200),
    ("engine_type_get", Right("get", "engine"), "wasm", 200),
    ("package_list", Right("get", "image"), "", 200),
    ("package_users", Right("get", "image"), "?name=openssl", 200),
    ("base_image_create", Right("create", "baseimage"), "", 201),
    ("base_image_list", Right("get", "baseimage"), "", 200),
    ("base_image_get", Right("get", "baseimage"), "x", 200),
    ("base_image_content", Right("get", "baseimage"), "x", 400),
    ("base_image_bill", Right("get", "baseimage"), "x", 400),
    ("base_image_vulnerability", Right("get", "baseimage"), "x", 400),
    ("base_image_update", Right("update", "baseimage"), "x", 200),
    ("base_image_delete", Right("delete", "baseimage"), "x", 200),
    ("image_create", Right("create", "image"), "", 201),
    ("image_list", Right("get", "image"), "", 200),
    ("image_get", Right("get", "image"), "x", 200),
    ("image_content", Right("get", "image"), "x", 400),
    ("image_bill", Right("get", "image"), "x", 400),
    ("image_vulnerability", Right("get", "image"), "x", 400),
    ("image_update", Right("update", "image"), "x", 200),
    ("image_rebuild", Right("update", "image"), "x", 202),
    ("image_delete", Right("delete", "image"), "x", 200),
    ("function_create", Right("create", "function"), "", 201),
    ("function_list", Right("get", "function"), "", 200),
    ("function_get", Right("get", "function"), "x", 200),
    ("version_list", Right("get", "function"), "x", 200),
    ("version_get", Right("get", "function"), "x", 404),
    ("placement_get", Right("get", "function"), "x", 404),
    ("rollout", Right("update", "function"), "x", 400),
    ("promote", Right("update", "function"), "x", 400),
    ("undo", Right("update", "function"), "x", 400),
    ("function_content", Right("get", "function"), "x", 400),
    ("function_bill", Right("get", "function"), "x", 400),
    ("function_vulnerability", Right("get", "function"), "x", 400),
    ("function_update", Right("update", "function"), "x", 200),
    ("function_delete", Right("delete", "function"), "x", 200),
    ("run_create", Right("create", "runs"), "", 202),
    ("run_list", Right("get", "runs"), "", 200),
    ("run_get", Right("get", "runs"), "first", 200),
    ("run_logs", Right("get", "runs"), "first", 200),
    ("dead_letter_list", Right("get", "runs"), "", 200),
    ("dead_letter_get", Right("get", "runs"), "first", 200),
    ("dead_letter_delete", Right("delete", "runs"), "first", 200),
    ("dead_letter_replay", Right("create", "runs"), "second", 202),
    ("secret_create", Right("create", "secret"), "", 201),
    ("secret_list", Right("get", "secret"), "", 200),
    ("secret_get", Right("get", "secret"), "x", 200),
    ("secret_update", Right("update", "secret"), "x", 201),
    ("secret_version_list", Right("get", "secret"), "x", 200),
    ("secret_rollback", Right("update", "secret"), "x", 404),
    ("secret_uses", Right("get", "secret"), "x", 200),
    ("secret_delete", Right("delete", "secret"), "x", 204),
    ("root_key_drop_old", Everywhere("update", "iam"), "", 409),
    ("root_key_rotate", Everywhere("update", "iam"), "", 202),
    ("root_key_get", Everywhere("get", "iam"), "", 200),
    ("api_create", Right("create", "api"), "", 200),
    ("api_list", Right("get", "api"), "", 200),
    ("api_get", Right("get", "api"), "x", 200),
    ("api_update", Right("update", "api"), "x", 200),
    ("api_delete", Right("delete", "api"), "x", 200),
    ("application_create", Right("create", "application"), "", 200),
    ("application_list", Right("get", "application"), "", 200),
    ("application_get", Right("get", "application"), "x", 200),
    ("application_update", Right("update", "application"), "x", 200),
    ("application_delete", Right("delete", "application"), "x", 200),
    ("can_i", SigningIn, "?action=get&resource=function&explain=true", 200),
    ("right_list", SigningIn, "", 200),
    ("role_create", Right("create", "iam"), "", 201),
    ("role_list", Right("get", "iam"), "", 200),
    ("role_get", Right("get", "iam"), "x", 200),
    ("role_update", Right("update", "iam"), "x", 200),
    ("role_delete", Right("delete", "iam"), "x", 200),
    ("group_create", Right("create", "iam"), "", 201),
    ("group_list", Right("get", "iam"), "", 200),
    ("group_get", Right("get", "iam"), "x", 200),
    ("group_update", Right("update", "iam"), "x", 200),
    ("group_delete", Right("delete", "iam"), "x", 200),
    ("policy_create", Right("create", "iam"), "", 201),
    ("policy_list", Right("get", "iam"), "", 200),
    ("policy_get", Right("get", "iam"), "x", 200),
    ("policy_update", Right("update", "iam"), "x", 200),
    ("policy_delete", Right("delete", "iam"), "x", 200),
    ("service_account_create", Right("create", "iam"), "", 201),
    ("service_account_list", Right("get", "iam"), "", 200),
    ("service_account_get", Right("get", "iam"), "x", 200),
    ("service_account_update", Right("update", "iam"), "x", 200),
    ("service_account_delete", Right("delete", "iam"), "x", 200),
    ("audit_list", Right("get", "audit"), "", 200),
    ("audit_verify", Everywhere("get", "audit"), "", 200),
    ("usage_list", Right("get", "usage"), "", 200),
    ("organization_create", Everywhere("create", "iam"), "", 201),
    ("organization_list", Right("get", "iam"), "", 200),
    ("organization_get", Right("get", "iam"), "acme", 200),
    ("organization_update", Everywhere("update", "iam"), "x", 200),
    ("organization_delete", Everywhere("delete", "iam"), "x", 200),
    ("bootstrap_disable", Everywhere("delete", "iam"), "", 204),
];

const ACTIONS: [&str; 4] = ["get", "create", "update", "delete"];

/// What the roles may do that every organization has: actions, and the words they may do them to.
const ROLES: [(&str, &str, &str); 9] = [
    ("admin", "*", "*"),
    ("operator", "*", "baseimage image imagepolicy engine"),
    ("operator", "get", "function runs api application usage"),
    ("operator", "delete", "runs"),
    ("developer", "*", "function runs image secret api application"),
    ("developer", "get", "baseimage imagepolicy engine"),
    ("invoker", "get create", "runs"),
    ("viewer", "get", "baseimage image imagepolicy engine function runs api application usage"),
    ("nobody", "", ""),
];

/// Whether somebody with a role may do that.
fn gives(role: &str, action: &str, resource: &str) -> bool {
    let has = |words: &str, word: &str| words.split(' ').any(|own| own == "*" || own == word);
    ROLES.iter().any(|(name, actions, resources)| {
        *name == role && has(actions, action) && has(resources, resource)
    })
}

/// Every right but one.
fn all_but(action: &str, resource: &str) -> Value {
    let other = |all: &[&'static str], one: &str| {
        all.iter().copied().filter(|word| *word != one).collect::<Vec<_>>()
    };
    let (actions, resources) = (other(&ACTIONS, action), other(&RESOURCES, resource));
    json!([rule("rest", &actions, &[resource]), rule("rest", &["*"], &resources)])
}

/// A body that the operation takes, so that only the caller can be what is wrong.
fn body(path: &str, method: &Method) -> Value {
    if path.ends_with("/rollback") {
        return json!({"version": 99});
    }
    if path.ends_with("/rollout") {
        return json!({});
    }
    let noun = path.trim_start_matches("/v1/").trim_start_matches("iam/").split('/').next();
    let mut body = match noun.unwrap() {
        "baseimage" => json!({"dockerUrl": "host:wasm", "language": "wasm"}),
        "engine" => json!({"type": "remote", "settings": {"url": "http://127.0.0.1:1"}}),
        "image" => json!({"baseImageName": "wasm-base"}),
        "function" => json!({"image": "wasm", "source": "YQ=="}),
        "secret" => json!({"secrets": {"k": "v"}}),
        "api" => json!({"function": "x"}),
        "runs" => return json!({"functionName": "failing", "input": {}}),
        "serviceaccount" => json!({"publicKey": public_key()}),
        "bootstrap" => return json!({"publicKey": public_key()}),
        // What the author has itself: else it could not give it.
        "policy" => json!({"rules": [rule("x", &["create"], &["iam"])]}),
        "role" => json!({"permissions": [{"actions": ["get"], "resources": ["function"]}]}),
        "group" => json!({"members": ["ada"]}),
        "session" => return json!({"provider": "none"}),
        _ => json!({}),
    };
    if *method == Method::POST {
        body["name"] = "x".into();
    }
    body
}

/// Method and path template of every operation, by its id.
fn operations() -> Vec<(String, Method, String)> {
    let document = dispatch_server::http::openapi::document_text();
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let id = operation["operationId"].as_str().expect("an operation has an id");
            found.push((id.to_owned(), method, path.clone()));
        }
    }
    found
}

#[test]
fn the_table_holds_every_operation_and_no_other() {
    let documented: BTreeSet<String> = operations().into_iter().map(|(id, ..)| id).collect();
    let listed: BTreeSet<String> = TABLE.iter().map(|(id, ..)| (*id).to_owned()).collect();
    assert_eq!(documented, listed);
    assert_eq!(listed.len(), TABLE.len(), "an operation stands in the table twice");
}

/// Two runs of a function that failed for good.
async fn dead_letters(iam: &Iam) -> Vec<String> {
    let call = async |method: Method, path: &str, body: Value| {
        iam.call("acme/admin", None, method, path, &body).await
    };
    let base = json!({"name": "wasm-base", "dockerUrl": "host:wasm", "language": "wasm"});
    call(Method::POST, "/v1/baseimage", base).await.expect(201);
    let image = json!({"name": "wasm", "baseImageName": "wasm-base"});
    call(Method::POST, "/v1/image", image).await.expect(201);
    let source = STANDARD.encode(include_bytes!("../../../../examples/wasm/echo.wat"));
    let function = json!({"name": "failing", "image": "wasm", "source": source,
        "schema": {"out": {"required": ["never"]}}});
    call(Method::POST, "/v1/function", function).await.expect(201);
    eventually("the function is READY", async || {
        let answer = call(Method::GET, "/v1/function/failing", Value::Null).await;
        (answer.json()["status"] == "READY").then_some(()).ok_or(answer.text)
    })
    .await;
    for _ in 0..2 {
        call(Method::POST, "/v1/runs?functionName=failing", json!({})).await.expect(202);
    }
    eventually("both runs are dead", async || {
        let answer = call(Method::GET, "/v1/deadletters", Value::Null).await;
        let names = answer.names();
        (names.len() == 2).then_some(names).ok_or(answer.text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_asks_for_exactly_its_right() {
    let iam = Iam::start().await;
    let dead = dead_letters(&iam).await;
    let operations = operations();
    let mut wrong = Vec::new();
    for (id, asks, name, success) in TABLE {
        let found = operations.iter().find(|(found, ..)| found == id);
        let (_, method, template) = found.unwrap_or_else(|| panic!("no operation {id}"));
        // Servers that share a database do not change each other's keys.
        let shared = !iam.server.running().app.store.is_sqlite();
        let success = if shared && *id == "root_key_rotate" { &409 } else { success };
        let name = match *name {
            "first" => &dead[0],
            "second" => &dead[1],
            name => name,
        };
        let mut path =
            template.replace("{name}", name).replace("{id}", name).replace("{version}", "1");
        if name.starts_with('?') {
            path += name;
        }
        let body = body(template, method);
        let mut cases: Vec<(&str, &str, u16)> = Vec::new();
        match *asks {
            Nothing => cases.push(("nobody", "", *success)),
            SigningIn => cases.extend([("nobody", "", 401), ("anybody", "acme/one", *success)]),
            Right(action, resource) | Everywhere(action, resource) => {
                let everywhere = matches!(asks, Everywhere(..));
                iam.policy("acme", "rest", true, all_but(action, resource)).await;
                let mut denied = rule("denied", &[action], &[resource]);
                denied["effect"] = "deny".into();
                let all = rule("denied", &["*"], &["*"]);
                iam.policy("acme", "denied", true, json!([denied, all])).await;
                let exactly = json!([rule("one", &[action], &[resource])]);
                if everywhere {
                    iam.policy("acme", "one", false, exactly.clone()).await;
                    let got = iam.call("acme/one", None, method.clone(), &path, &body).await;
                    if got.status != 403 {
                        wrong.push(format!("{id} by a rule of one organization: {}", got.status));
                    }
                }
                iam.policy("acme", "one", everywhere, exactly).await;
                cases.push(("nobody", "", 401));
                cases.push(("another organization", "other/eve", 403));
                cases.push(("all rights but this", "acme/rest", 403));
                cases.push(("all rights, and a rule that denies this", "acme/denied", 403));
                cases.push(("this right only", "acme/one", *success));
            }
        }
        for (who, issuer, expected) in cases {
            let got = iam.call(issuer, Some("acme"), method.clone(), &path, &body).await;
            if got.status != expected {
                wrong.push(format!("{id} by {who}: {}, not {expected}: {}", got.status, got.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One for each role that every organization has, called like it; and who calls with an old token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_may_do_what_it_says_and_an_expired_token_nothing() {
    let iam = Iam::start().await;
    let mut roles: Vec<&str> = ROLES.iter().map(|(role, ..)| *role).collect();
    roles.dedup();
    for role in &roles {
        iam.account(&format!("acme/{role}s")).await;
        if *role != "nobody" {
            let rule = json!({"subjects": [format!("{role}s")], "roles": [role]});
            iam.policy("acme", &format!("{role}s"), false, json!([rule])).await;
        }
    }
    let expired = crate::iam::token("acme/admin", -300);
    let operations = operations();
    let mut wrong = Vec::new();
    for (id, asks, ..) in TABLE.iter().filter(|(_, asks, ..)| *asks != Nothing) {
        let (_, method, template) = operations.iter().find(|(found, ..)| found == id).unwrap();
        // Of a thing that is not there, so that who may do it changes nothing.
        let absent = uuid::Uuid::nil().to_string();
        let path = template.replace("{name}", "absent").replace("{id}", &absent);
        let path = path.replace("{version}", "1");
        let mut body = body(template, method);
        if body["name"] == "x" {
            body["name"] = "".into();
        }
        let old = iam.server.request(method.clone(), &path).bearer_auth(&expired).json(&body);
        let got = dispatch_testkit::send(old).await;
        if got.status != 401 {
            wrong.push(format!("{id} with an expired token: {}", got.status));
        }
        for role in &roles {
            let may = match *asks {
                Right(action, resource) => gives(role, action, resource),
                // A role that is given in one organization is not one of all.
                Everywhere(..) => false,
                Nothing | SigningIn => true,
            };
            let who = format!("acme/{role}s");
            let got = iam.call(&who, Some("acme"), method.clone(), &path, &body).await;
            if (got.status != 403) != may || matches!(got.status, 401 | 500..) {
                wrong.push(format!("{id} by {role}: {}: {}", got.status, got.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_administrator_of_one_organization_cannot_become_one_of_all() {
    let iam = Iam::start().await;
    let rule = rule("eve", &["*"], &["*"]);
    let policy = json!({"name": "mine", "global": true, "rules": [rule]});
    let path = "/v1/iam/policy";
    iam.call("other/eve", None, Method::POST, path, &policy).await.expect(403);
    let local = json!({"name": "mine", "rules": [rule]});
    iam.call("other/eve", None, Method::POST, path, &local).await.expect(201);
    let path = "/v1/iam/policy/mine";
    iam.call("other/eve", None, Method::PUT, path, &policy).await.expect(403);
    let org = json!({"name": "third"});
    let path = "/v1/iam/organization";
    iam.call("other/eve", None, Method::POST, path, &org).await.expect(403);
    let seen = iam.call("other/eve", None, Method::GET, path, &Value::Null).await;
    assert_eq!(seen.expect(200).names(), ["other"]);
    let path = "/v1/iam/organization/acme";
    iam.call("other/eve", None, Method::GET, path, &Value::Null).await.expect(404);
}

#[tokio::test]
async fn a_thing_of_another_organization_is_not_there() {
    let iam = Iam::start().await;
    let application = json!({"name": "app"});
    let path = "/v1/application";
    iam.call("acme/admin", None, Method::POST, path, &application).await.expect(200);
    let path = "/v1/application/app";
    let none = Value::Null;
    iam.call("acme/admin", None, Method::GET, path, &none).await.expect(200);
    iam.call("other/eve", None, Method::GET, path, &none).await.expect(404);
    iam.call("other/eve", None, Method::DELETE, path, &none).await.expect(404);
}

#[tokio::test]
async fn an_organization_with_things_in_it_stays() {
    let iam = Iam::start().await;
    let path = "/v1/iam/organization/other";
    let refused = iam.call(crate::iam::BOOT, None, Method::DELETE, path, &Value::Null).await;
    let message = refused.expect(409).error().message;
    assert!(message.contains("service account") && message.contains("policy"), "{message}");
}

#[tokio::test]
async fn a_proxy_is_told_whether_a_request_would_be_allowed() {
    let iam = Iam::start().await;
    let rules = json!([
        rule("one", &["get", "create"], &["function"]),
        rule("one", &["get"], &["secret/db", "iam/role/*"]),
    ]);
    iam.policy("acme", "one", false, rules).await;
    let cases = [
        ("acme/one", "acme", "GET", "/v1/function", 202),
        ("acme/one", "acme", "", "/v1/function/f?tags=a=b", 202),
        ("acme/one", "acme", "post", "/v1/function/", 202),
        ("acme/one", "acme", "PUT", "/v1/function/f", 403),
        ("acme/one", "acme", "PROPFIND", "/v1/function/f", 403),
        ("acme/one", "acme", "GET", "/v1/runs?functionName=function", 403),
        ("acme/one", "acme", "GET", "/v1/nothing", 403),
        ("acme/one", "acme", "GET", "/v1/secret/db", 202),
        ("acme/one", "acme", "GET", "/v1/secret/other", 403),
        ("acme/one", "acme", "GET", "/v1/secret", 403),
        ("acme/one", "acme", "GET", "/v1/iam/role/x", 202),
        ("acme/one", "acme", "GET", "/v1/iam/policy/x", 403),
        ("acme/one", "acme", "GET", "/v1/iam/role", 403),
        ("acme/one", "acme", "GET", "/", 202),
        ("acme/one", "acme", "GET", "", 202),
        ("acme/one", "other", "GET", "/v1/function", 403),
        ("acme/one", "none", "GET", "/", 403),
        ("acme/one", "no such/name", "GET", "/", 403),
        ("boot", "acme", "DELETE", "/v1/iam/policy/p", 202),
        ("boot", "acme", "GET", "/v1/function", 403),
        ("other/eve", "other", "PATCH", "/v1/secret/s", 202),
        ("acme/nobody", "acme", "GET", "/v1/function", 401),
        ("", "acme", "GET", "/v1/function", 401),
    ];
    for (issuer, org, method, path, expected) in cases {
        let mut request = iam.request(issuer, Method::GET, "/v1/iam/auth");
        for (name, value) in [
            ("x-dispatch-org", org),
            ("x-original-method", method),
            ("x-auth-request-redirect", path),
        ] {
            request = request.header(name, value);
        }
        let answer = dispatch_testkit::send(request).await;
        assert_eq!(answer.status, expected, "{issuer} {org} {method} {path}: {}", answer.text);
        match expected {
            202 => assert_eq!((answer.header("x-dispatch-org"), &*answer.text), (org, "")),
            _ => assert_eq!(answer.error().code, expected),
        }
    }
    let own = dispatch_testkit::send(iam.request("other/eve", Method::GET, "/v1/iam/auth")).await;
    assert_eq!(own.expect(202).header("x-dispatch-org"), "other");
}

#[tokio::test]
async fn browsers_are_told_that_they_cannot_sign_in() {
    let iam = Iam::start().await;
    for path in ["/v1/iam/oauth2/start?rd=/", "/v1/iam/redirect?redirect=http://localhost:1/x"] {
        let error = iam.server.get(path).await.expect(501).error();
        assert_eq!(error.error_code.as_deref(), Some("IAM003"), "{error:?}");
        assert!(error.message.contains("sign in with a service account"), "{error:?}");
        assert!(error.hint.is_some() && error.request_id.is_some(), "{error:?}");
    }
}

//! The v1 surface, noun by noun: paths, codes, fields, names, tags, errors.

use dispatch_testkit::{Answer, Server, send};
use reqwest::Method;
use serde_json::{Value, json};

/// A noun as v1 has it.
struct Noun {
    path: &'static str,
    kind: &'static str,
    /// As messages call it.
    words: &'static str,
    /// Without its name.
    shape: Value,
    /// Codes of POST, PUT and DELETE.
    codes: [u16; 3],
    /// Own fields an answer to the shape has, with a value of the type each must have.
    fields: Value,
    dotted: bool,
}

fn noun(path: &'static str, kind: &'static str, words: &'static str) -> Noun {
    let codes = [201, 200, 200];
    Noun { path, kind, words, shape: json!({}), codes, fields: json!({}), dotted: false }
}

fn nouns() -> Vec<Noun> {
    let key = crate::iam::public_key();
    let rules = json!([{"subjects": ["a"], "actions": ["get"], "resources": ["*"]}]);
    let base = json!({"dockerUrl": "host:wasm", "language": "wasm", "groups": ["g"],
        "spec": {"k": "v"}});
    let image = json!({"baseImageName": "base", "groups": ["g"], "spec": {"k": "v"},
        "runtimeDependencies": {"manifest": "m"},
        "systemDependencies": {"packages": [{"name": "p", "version": "1"}]}});
    let function = json!({"image": "image", "handler": "a.b", "source": "YQ==", "timeout": 1000,
        "schema": {"in": {"type": "object"}, "out": {}}, "secrets": ["s"], "services": ["v"]});
    let mut function_fields = function.clone();
    function_fields.as_object_mut().unwrap().remove("source");
    function_fields["sourceDigest"] = json!("");
    let api = json!({"function": "f", "methods": ["GET"], "uris": ["/x"], "hosts": ["a.org"],
        "protocols": ["https"], "authentication": "public", "enabled": true, "cors": true});
    let policy = json!({"rules": rules, "global": true});
    let account = json!({"publicKey": key, "domain": "example.org"});
    let same = |noun: Noun, shape: Value| Noun { fields: shape.clone(), shape, ..noun };
    vec![
        same(noun("baseimage", "BaseImage", "base image"), base),
        same(noun("image", "Image", "image"), image),
        Noun {
            shape: function,
            fields: function_fields,
            ..noun("function", "Function", "function")
        },
        Noun {
            shape: json!({"secrets": {"k": "v"}}),
            fields: json!({"secrets": {}}),
            codes: [201, 201, 204],
            ..noun("secret", "Secret", "secret")
        },
        Noun { codes: [200, 200, 200], ..same(noun("api", "API", "api"), api) },
        Noun { codes: [200, 200, 200], ..noun("application", "Application", "application") },
        same(noun("iam/policy", "Policy", "policy"), policy),
        Noun {
            dotted: true,
            ..same(noun("iam/serviceaccount", "ServiceAccount", "service account"), account)
        },
        noun("iam/organization", "Organization", "organization"),
    ]
}

impl Noun {
    fn collection(&self) -> String {
        format!("/v1/{}", self.path)
    }

    fn one(&self, name: &str) -> String {
        format!("/v1/{}/{name}", self.path)
    }

    fn named(&self, name: &str) -> Value {
        let mut shape = self.shape.clone();
        shape["name"] = name.into();
        shape
    }
}

/// A server that takes every noun's shape, without anybody having to sign in.
async fn server() -> Server {
    let server = Server::start().await;
    let base = json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"});
    server.post("/v1/baseimage", base).await.expect(201);
    server
}

/// Sends a request as the account that may do everything, once policies have ended local mode.
struct Client {
    server: Server,
    token: String,
}

impl Client {
    async fn start() -> Self {
        let server = server().await;
        let account = json!({"name": "admin", "publicKey": crate::iam::public_key()});
        server.post("/v1/iam/serviceaccount", account).await.expect(201);
        let rule = crate::iam::rule("admin", &["*"], &["*"]);
        let policy = json!({"name": "admin", "global": true, "rules": [rule]});
        server.post("/v1/iam/policy", policy).await.expect(201);
        Self { server, token: crate::iam::token("dispatch/admin", 600) }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.with(method, path, body, &[]).await
    }

    async fn with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.server.request(method, path).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request).await
    }

    async fn names(&self, path: &str) -> Vec<String> {
        self.send(Method::GET, path, None).await.expect(200).names()
    }
}

fn same_type(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Fields every resource has, then those of the noun; nothing else.
fn check_fields(noun: &Noun, name: &str, found: &Value, sent: &Value) {
    let object = found.as_object().unwrap();
    let at = |field: &str| object.get(field).unwrap_or_else(|| panic!("no {field}: {found}"));
    assert!(uuid::Uuid::try_parse(at("id").as_str().unwrap()).is_ok(), "{found}");
    assert_eq!((at("kind"), at("name")), (&json!(noun.kind), &json!(name)));
    let states = ["INITIALIZED", "CREATING", "READY", "UPDATING", "ERROR", "DELETING"];
    assert!(states.contains(&at("status").as_str().unwrap()), "{found}");
    for time in ["createdTime", "modifiedTime"] {
        let seconds = at(time).as_i64().unwrap();
        assert!((1_700_000_000..4_000_000_000).contains(&seconds), "{time} in seconds: {found}");
    }
    assert_eq!(found["tags"], sent["tags"]);
    for (field, of_type) in noun.fields.as_object().unwrap() {
        let value = at(field);
        assert!(same_type(value, of_type), "{field}: {found}");
        if sent.get(field).is_some() && field != "secrets" {
            assert_eq!(value, &sent[field], "{field}");
        }
    }
    let common = ["id", "kind", "name", "status", "reason", "tags", "createdTime", "modifiedTime"];
    let added = ["revision", "organization", "dockerUrl", "language", "engine"];
    for field in object.keys().map(String::as_str) {
        let known = common.contains(&field) || added.contains(&field);
        let own = noun.fields.get(field).is_some();
        assert!(known || own, "{field} is no field of {}: {found}", noun.kind);
    }
    if let Some(reason) = object.get("reason") {
        assert!(reason.as_array().unwrap().iter().all(Value::is_string), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_noun_has_v1s_paths_codes_and_fields() {
    let client = Client::start().await;
    for noun in nouns() {
        let (collection, [created, updated, deleted]) = (noun.collection(), noun.codes);
        for slash in ["", "/"] {
            let name = if slash.is_empty() { "one" } else { "two" };
            let mut shape = noun.named(name);
            shape["tags"] = json!([{"key": "k", "value": name}, {"key": "team", "value": "a"}]);
            let path = format!("{collection}{slash}");
            let answer = client.send(Method::POST, &path, Some(&shape)).await.expect(created);
            check_fields(&noun, name, &answer.json(), &shape);
            let again = client.send(Method::POST, &path, Some(&shape)).await.expect(409).error();
            assert_eq!(again.message, format!("{} {name} already exists", noun.words));
            assert_eq!(again.code, 409);

            let one = format!("{}{slash}", noun.one(name));
            let found = client.send(Method::GET, &one, None).await.expect(200).json();
            check_fields(&noun, name, &found, &shape);
            let all = client.send(Method::GET, &path, None).await.expect(200).json();
            let all = all.as_array().expect("a bare array");
            assert!(all.iter().any(|item| item["name"] == name), "{all:?}");
            let mut changed = shape.clone();
            changed["tags"] = json!([{"key": "k", "value": name}]);
            let answer = client.send(Method::PUT, &one, Some(&changed)).await.expect(updated);
            check_fields(&noun, name, &answer.json(), &changed);
        }
        let tagged = async |query: &str| client.names(&format!("{collection}?{query}")).await;
        assert_eq!(tagged("tags=k=one").await, ["one"], "{}", noun.kind);
        assert_eq!(tagged("tags=k=one&tags=team=a").await, Vec::<String>::new());
        let absent = noun.one("one") + "?tags=k=two";
        client.send(Method::GET, &absent, None).await.expect(404);
        for name in ["one", "two"] {
            let answer = client.send(Method::DELETE, &noun.one(name), None).await.expect(deleted);
            assert_eq!(answer.text.is_empty(), deleted == 204, "{}", answer.text);
        }
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let body = (method == Method::PUT).then_some(&noun.shape);
            let answer = client.send(method.clone(), &noun.one("none"), body).await;
            let error = answer.expect(404).error();
            assert_eq!(error.message, format!("{} none not found", noun.words), "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_follow_v1s_rule_everywhere() {
    let client = Client::start().await;
    let long = "x".repeat(129);
    for noun in nouns() {
        let before = client.names(&noun.collection()).await;
        for bad in ["", "-a", "a b", "a/b", "ü", "../x", "a\u{0}", long.as_str(), "a.b"] {
            if bad == "a.b" && noun.dotted {
                continue;
            }
            let path = noun.collection();
            let answer = client.send(Method::POST, &path, Some(&noun.named(bad))).await;
            let error = answer.expect(400).error();
            assert_eq!(error.field.as_deref(), Some("name"), "{bad:?}: {error:?}");
            let rule = match bad {
                "" => "must not be empty",
                bad if bad.len() > 128 => "at most 128 are allowed",
                _ => r"must match ^[\w\d][\w\d\-",
            };
            assert!(error.message.contains(rule), "{bad:?}: {error:?}");
        }
        assert_eq!(client.names(&noun.collection()).await, before, "nothing was stored");
        for good in ["0", "_a-B_9", &"x".repeat(128)] {
            let path = noun.collection();
            client.send(Method::POST, &path, Some(&noun.named(good))).await.expect(noun.codes[0]);
        }
    }
    let dotted = nouns().into_iter().find(|noun| noun.dotted).unwrap();
    let path = dotted.collection();
    client.send(Method::POST, &path, Some(&dotted.named("ci.build-1"))).await.expect(201);
    client.send(Method::GET, &dotted.one("ci.build-1"), None).await.expect(200);
}

/// Shapes of a noun that break a rule, and the field each error must name.
fn broken(noun: &Noun) -> Vec<(Value, String)> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let mut cases = vec![
        (json!([]), "body".to_owned()),
        (json!("x"), "body".to_owned()),
        (Value::Null, "body".to_owned()),
    ];
    let mut with = |field: &str, value: Value, named: &str| {
        let mut shape = noun.named("x");
        shape[field] = value;
        cases.push((shape, named.to_owned()));
    };
    with("colour", json!("red"), "colour");
    with("Name", json!("x"), "Name");
    with("name", json!(7), "name");
    with("name", deep, "name");
    with("tags", json!({}), "tags");
    with("tags", json!([{"value": "x"}]), "tags[0]");
    with("tags", json!([{"key": "k", "value": 7}]), "tags[0].value");
    with("tags", json!([{"key": "", "value": "x"}]), "tags[0].key");
    with("tags", json!([{"key": "k", "colour": "x"}]), "tags[0].colour");
    let long = "x".repeat(257);
    with("tags", json!([{"key": "k", "value": "v"}, {"key": long}]), "tags[1].key");
    with("tags", json!([{"key": "k", "value": long}]), "tags[0].value");
    let many: Vec<Value> = (0..65).map(|n| json!({"key": format!("k{n}")})).collect();
    with("tags", json!(many), "tags");
    for (field, value) in noun.shape.as_object().unwrap() {
        let wrong = if value.is_boolean() { json!("yes") } else { json!(true) };
        with(field, wrong, field);
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_are_refused_by_field_and_nothing_is_stored() {
    let client = Client::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for noun in nouns() {
        let before = client.names(&noun.collection()).await;
        let stored = noun.named("stored");
        let path = noun.collection();
        client.send(Method::POST, &path, Some(&stored)).await.expect(noun.codes[0]);
        for (shape, field) in broken(&noun) {
            let bad_name = field == "name";
            let error = client.send(Method::POST, &path, Some(&shape)).await.expect(400).error();
            assert_eq!(error.field.as_deref(), Some(&*field), "{}: {error:?}", noun.kind);
            assert_eq!(error.error_code.as_deref(), Some("API001"));
            let mut shape = shape;
            if !bad_name && let Some(shape) = shape.as_object_mut() {
                shape.remove("name");
            }
            let error = client.send(Method::PUT, &noun.one("stored"), Some(&shape)).await;
            assert_eq!(error.expect(400).error().field.as_deref(), Some(&*field), "{}", noun.kind);
        }
        for text in ["", "{", "{\"name\":\"x\"", "{\"name\":\"x\"} x", "\u{feff}{}", "nul"] {
            let request = client.server.request(Method::POST, &path).bearer_auth(&client.token);
            let error = send(request.body(text)).await.expect(400).error();
            assert!(error.field.is_some(), "{text:?}: {error:?}");
        }
        for field in ["name", "tags", "colour", "spec"] {
            let text = format!("{{\"{field}\": {deep}, \"name\": \"deep\"}}");
            let request = client.server.request(Method::POST, &path).bearer_auth(&client.token);
            let error = send(request.body(text)).await.expect(400).error();
            let named = error.field.unwrap();
            assert!(named.len() < 100, "{field}: {named}");
        }
        let mut expected = before;
        expected.push("stored".to_owned());
        expected.sort();
        assert_eq!(client.names(&path).await, expected, "{}: nothing was stored", noun.kind);
        let found = client.send(Method::GET, &noun.one("stored"), None).await.expect(200).json();
        check_fields(&noun, "stored", &found, &stored);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_with_one_revision_the_slower_is_told() {
    let client = Client::start().await;
    for noun in nouns() {
        let path = noun.collection();
        client.send(Method::POST, &path, Some(&noun.named("x"))).await.expect(noun.codes[0]);
        let put = async |by: &str, tag: &str| {
            let mut shape = noun.shape.clone();
            shape["tags"] = json!([{"key": "by", "value": by}]);
            let headers = [("if-match", tag)];
            client.with(Method::PUT, &noun.one("x"), Some(&shape), &headers).await
        };
        // A controller may be at work: until one of the two is the faster, they begin again.
        let (won, lost) = dispatch_testkit::eventually("one of the two is faster", async || {
            let found = client.send(Method::GET, &noun.one("x"), None).await.expect(200);
            let tag = found.header("etag");
            let (a, b) = tokio::join!(put("a", tag), put("b", tag));
            match (a.status == noun.codes[1], b.status == noun.codes[1]) {
                (true, false) => Ok(("a", b)),
                (false, true) => Ok(("b", a)),
                (false, false) => Err("the controller was faster"),
                (true, true) => panic!("both were told that theirs is what is stored"),
            }
        })
        .await;
        let error = lost.expect(412).error();
        assert_eq!(error.error_code.as_deref(), Some("API004"), "{}", noun.kind);
        assert!(error.message.contains("revision"), "{error:?}");
        let found = client.send(Method::GET, &noun.one("x"), None).await.expect(200).json();
        assert_eq!(found["tags"], json!([{"key": "by", "value": won}]), "{}", noun.kind);
    }
}

#[tokio::test]
async fn the_version_is_v1s() {
    let server = Server::start().await;
    for path in ["/v1/version", "/v1/version/"] {
        let version = server.get(path).await.expect(200).json();
        for field in ["version", "commit", "buildDate", "platform"] {
            assert!(version[field].as_str().is_some_and(|text| !text.is_empty()), "{version}");
        }
    }
}

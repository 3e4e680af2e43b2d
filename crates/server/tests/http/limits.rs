//! Every limit of a body: what just fits is taken, one more is refused by its field, and nothing of
//! it is stored.

use dispatch_testkit::{Options, Server, eventually, send};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

/// A limit: where, which field the error names, the largest that fits, and a shape of a size.
type Limit = (&'static str, &'static str, usize, fn(usize) -> Value);

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("k{n}")).collect()
}

fn map(count: usize) -> Value {
    Value::Object(texts(count).into_iter().map(|key| (key, json!("v"))).collect::<Map<_, _>>())
}

fn api(field: &str, value: Value) -> Value {
    let mut shape = json!({"name": "x", "function": "f"});
    shape[field] = value;
    shape
}

fn function(field: &str, value: Value) -> Value {
    let mut shape = json!({"name": "x", "image": "i", "source": "YQ=="});
    shape[field] = value;
    shape
}

fn policy(field: &str, count: usize) -> Value {
    let mut rule = json!({"subjects": ["a"], "actions": ["get"], "resources": ["*"]});
    rule[field] = match field {
        "actions" => json!(vec!["get"; count]),
        _ => json!(texts(count)),
    };
    json!({"name": "x", "rules": [rule]})
}

fn image(field: &str, value: Value) -> Value {
    let mut shape = json!({"name": "x", "baseImageName": "base"});
    shape[field] = value;
    shape
}

fn long_host(bytes: usize) -> Value {
    json!(["a".repeat(60) + "." + &"b".repeat(bytes - 61)])
}

const LIMITS: &[Limit] = &[
    (
        "baseimage",
        "language",
        128,
        |n| json!({"name": "x", "dockerUrl": "d", "language": "l".repeat(n)}),
    ),
    ("application", "tags", 64, |n| {
        let tags: Vec<Value> = texts(n).into_iter().map(|key| json!({"key": key})).collect();
        json!({"name": "x", "tags": tags})
    }),
    ("application", "tags[0].key", 256, |n| json!({"name": "x", "tags": [{"key": "k".repeat(n)}]})),
    (
        "application",
        "tags[0].value",
        256,
        |n| json!({"name": "x", "tags": [{"key": "k", "value": "v".repeat(n)}]}),
    ),
    ("image", "runtimeDependencies.manifest", 1 << 20, |n| {
        image("runtimeDependencies", json!({"manifest": "m".repeat(n)}))
    }),
    ("api", "function", 128, |n| api("function", json!("f".repeat(n)))),
    ("api", "tls", 128, |n| api("tls", json!("t".repeat(n)))),
    ("api", "methods", 64, |n| api("methods", json!(vec!["GET"; n]))),
    ("api", "hosts", 64, |n| api("hosts", json!(texts(n)))),
    ("api", "hosts", 253, |n| api("hosts", long_host(n))),
    ("api", "uris", 64, |n| {
        api("uris", json!(texts(n).iter().map(|text| format!("/{text}")).collect::<Vec<_>>()))
    }),
    ("api", "uris", 2_048, |n| api("uris", json!(["/".to_owned() + &"u".repeat(n - 1)]))),
    ("secret", "secrets", 256, |n| json!({"name": "x", "secrets": map(n)})),
    ("secret", "secrets", 1 << 20, |n| json!({"name": "x", "secrets": {"k": "v".repeat(n - 1)}})),
    ("function", "image", 128, |n| function("image", json!("i".repeat(n)))),
    ("function", "engine", 128, |n| function("engine", json!("e".repeat(n)))),
    ("function", "secrets", 64, |n| function("secrets", json!(texts(n)))),
    ("function", "secrets[0]", 128, |n| function("secrets", json!(["s".repeat(n)]))),
    ("function", "services", 64, |n| function("services", json!(texts(n)))),
    ("function", "environment", 128, |n| function("environment", map(n))),
    ("function", "egress", 64, |n| function("egress", json!(texts(n)))),
    ("function", "timeout", 3_600_000, |n| function("timeout", json!(n))),
    ("function", "memoryMib", 65_536, |n| function("memoryMib", json!(n))),
    ("function", "concurrency", 1_000, |n| function("concurrency", json!(n))),
    ("function", "retries", 20, |n| function("retries", json!(n))),
    ("function", "backoffMs", 3_600_000, |n| function("backoffMs", json!(n))),
    ("iam/policy", "rules", 256, |n| {
        let rule = json!({"subjects": ["a"], "actions": ["get"], "resources": ["*"]});
        json!({"name": "x", "rules": vec![rule; n]})
    }),
    ("iam/policy", "rules[0].subjects", 256, |n| policy("subjects", n)),
    ("iam/policy", "rules[0].actions", 256, |n| policy("actions", n)),
    ("iam/policy", "rules[0].resources", 256, |n| policy("resources", n)),
];

/// Who may work on iam without ending local mode, and who on the rest.
struct Clients {
    local: Server,
    iam: Server,
    token: String,
}

impl Clients {
    async fn start() -> Self {
        let settings = "[auth]\nmode = \"required\"\n[bootstrap]\nuser = \"boot\"\npublic_key = \"";
        let settings = format!("{settings}{}\"", crate::iam::public_key());
        let iam = Server::start_with(Options { settings }).await;
        let local = Server::start().await;
        let base = json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"});
        local.post("/v1/baseimage", base).await.expect(201);
        Self { local, iam, token: crate::iam::token("boot", 600) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        if path.starts_with("/v1/iam") {
            return self.iam.request(method, path).bearer_auth(&self.token);
        }
        self.local.request(method, path)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_just_fits_is_taken_and_one_more_is_not() {
    let clients = Clients::start().await;
    for (path, field, max, shape) in LIMITS {
        let all = format!("/v1/{path}");
        let post =
            async |size: usize| send(clients.request(Method::POST, &all).json(&shape(size))).await;
        let one = async |method: Method| send(clients.request(method, &format!("{all}/x"))).await;
        let error = post(max + 1).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(*field), "{path}: {error:?}");
        let rule = error.message.strip_prefix(&format!("{field}: ")).expect("field, then rule");
        let number = max.to_string();
        assert!(rule.contains(&number), "{path}.{field} does not say {number}: {rule}");
        one(Method::GET).await.expect(404);
        let taken = post(*max).await;
        assert!(matches!(taken.status, 200 | 201), "{path}.{field}: {}", taken.text);
        one(Method::DELETE).await;
        eventually("it is gone", async || {
            let answer = one(Method::GET).await;
            (answer.status == 404).then_some(()).ok_or(answer.text)
        })
        .await;
    }
}

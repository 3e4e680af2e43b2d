//! Versions of secrets: kept, shown, gone back to, forgotten; and which run read which.

use dispatch_testkit::{Options, Server};
use serde_json::{Value, json};

const HELLO: &[u8] = include_bytes!("../../../../examples/wasm/hello.wat");
const CANARY: &str = "c4n4ry-version";

fn values(text: &str) -> Value {
    json!({"secrets": {"password": text}})
}

async fn put(server: &Server, text: &str) {
    server.put("/v1/secret/db", values(text)).await.expect(201);
}

/// The numbers of the versions that are kept.
async fn kept(server: &Server) -> Vec<u64> {
    let versions = server.get("/v1/secret/db/versions").await.expect(200);
    assert!(!versions.text.contains(CANARY), "{}", versions.text);
    let all = versions.json();
    let all = all.as_array().unwrap();
    assert!(all[0]["current"] == true && all[1..].iter().all(|v| v.get("current").is_none()));
    all.iter().map(|version| version["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_update_is_a_version_and_old_ones_come_back() {
    let mut server = Server::start().await;
    let mut shape = values(&format!("{CANARY} 1"));
    shape["name"] = json!("db");
    server.post("/v1/secret", shape).await.expect(201);
    for n in 2..=3 {
        put(&server, &format!("{CANARY} {n}")).await;
    }
    assert_eq!(kept(&server).await, [3, 2, 1]);
    let all = server.get("/v1/secret/db/versions").await.json();
    assert_eq!(all[0]["createdBy"], "local-admin");
    assert!(all[0]["createdTime"].as_i64() >= all[2]["createdTime"].as_i64());
    let first = server.get("/v1/secret/db?version=1").await.expect(200).json();
    assert_eq!(
        (&first["version"], &first["secrets"]["password"]),
        (&json!(1), &json!("c4n4ry-version 1"))
    );

    let back = server.post("/v1/secret/db/rollback", json!({"version": 1})).await.expect(200);
    assert!(!back.text.contains(CANARY), "{}", back.text);
    assert_eq!(back.json()["version"], 4);
    server.restart().await;
    assert_eq!(kept(&server).await, [4, 3, 2, 1]);
    let now = server.get("/v1/secret/db").await.expect(200).json();
    assert_eq!(now["secrets"], first["secrets"]);

    for (body, status) in [
        (json!({"version": 4}), 400),
        (json!({"version": 9}), 404),
        (json!({"version": "x"}), 400),
        (json!({}), 400),
        (json!({"version": 1, "to": 2}), 400),
    ] {
        server.post("/v1/secret/db/rollback", body).await.expect(status);
    }
    server.post("/v1/secret/none/rollback", json!({"version": 1})).await.expect(404);
    server.get("/v1/secret/none/versions").await.expect(404);
    server.get("/v1/secret/none/uses").await.expect(404);
    server.get("/v1/secret/db?version=9").await.expect(404);
    server.get("/v1/secret/db?version=0").await.expect(400);
    server.delete("/v1/secret/db").await.expect(204);
    server.get("/v1/secret/db?version=1").await.expect(404);
    let mut again = values("new");
    again["name"] = json!("db");
    server.post("/v1/secret", again).await.expect(201);
    assert_eq!(kept(&server).await, [1], "another secret of the name has none of them");
}

#[tokio::test]
async fn only_so_many_are_kept() {
    let options = Options { settings: "[secrets]\nversions = 3".to_owned() };
    let server = Server::start_with(options).await;
    let mut shape = values("1");
    shape["name"] = json!("db");
    server.post("/v1/secret", shape).await.expect(201);
    for n in 2..=6 {
        put(&server, &n.to_string()).await;
    }
    assert_eq!(kept(&server).await, [6, 5, 4]);
    server.get("/v1/secret/db?version=3").await.expect(404);
    server.post("/v1/secret/db/rollback", json!({"version": 3})).await.expect(404);
}

async fn run(server: &Server, function: &str, secrets: Value) -> Value {
    let path = format!("/v1/runs?functionName={function}");
    let body = json!({"blocking": true, "secrets": secrets});
    let done = server.post(&path, body).await.expect(200);
    assert!(!done.text.contains(CANARY), "{}", done.text);
    done.json()
}

#[tokio::test]
async fn a_run_records_which_version_it_read() {
    let server = Server::start().await;
    server.image("wasm").await;
    for name in ["db", "other"] {
        let secrets = json!({"k": CANARY});
        server.post("/v1/secret", json!({"name": name, "secrets": secrets})).await.expect(201);
    }
    server.function("plain", "wasm", HELLO, json!({})).await;
    server.function("reads", "wasm", HELLO, json!({"secrets": ["db"]})).await;
    let plain = run(&server, "plain", json!([])).await;
    assert_eq!(plain.get("secretsUsed"), None, "{plain}");
    let first = run(&server, "reads", json!([])).await;
    assert_eq!(first["secretsUsed"], json!([{"name": "db", "version": 1}]));
    put(&server, &format!("{CANARY} 2")).await;
    let second = dispatch_testkit::eventually("the new version is read", async || {
        let run = run(&server, "reads", json!(["other"])).await;
        let both = json!([{"name": "db", "version": 2}, {"name": "other", "version": 1}]);
        (run["secretsUsed"] == both).then(|| run.clone()).ok_or(run.to_string())
    })
    .await;
    let asked = run(&server, "plain", json!(["other"])).await;
    let stored = server.get(&format!("/v1/runs/{}", second["name"].as_str().unwrap())).await;
    assert_eq!(stored.expect(200).json()["secretsUsed"], second["secretsUsed"]);

    let uses = async |secret: &str| {
        let uses = server.get(&format!("/v1/secret/{secret}/uses")).await.expect(200);
        assert!(!uses.text.contains(CANARY), "{}", uses.text);
        uses.json()
    };
    let db = uses("db").await;
    let last = db.as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["run"], &last["version"]), (&first["name"], &json!(1)), "{db}");
    assert_eq!((&last["function"], &last["functionVersion"]), (&json!("reads"), &json!(1)));
    assert_eq!((&db[0]["run"], &db[0]["version"]), (&second["name"], &json!(2)), "{db}");
    assert!(db[0]["time"].as_i64().is_some());
    let other = uses("other").await;
    assert_eq!((&other[0]["run"], &other[0]["function"]), (&asked["name"], &json!("plain")));
    let log = server.get("/metrics").await;
    assert!(!log.text.contains(CANARY));
}

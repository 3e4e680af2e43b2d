//! The server as an operator meets it: stopped, started again, misconfigured; and what it never
//! writes anywhere.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use dispatch_systems::vault::{MOUNT, Mode, Vault};
use dispatch_testkit::{Database, Process, server_binary};
use reqwest::Method;
use serde_json::{Value, json};

const CANARY: &str = "c4n4ry-9d1e77";
const PATIENCE: Duration = Duration::from_secs(60);

struct Client {
    http: reqwest::Client,
    api: String,
    /// Everything answered so far, but for the one answer that may hold values.
    seen: String,
}

impl Client {
    fn of(server: &Process) -> Self {
        let (http, api) = (reqwest::Client::new(), server.api.clone());
        Self { http, api, seen: String::new() }
    }

    async fn get(&mut self, path: &str) -> String {
        let url = format!("{}{path}", self.api);
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        self.seen.push_str(&text);
        text
    }

    async fn post(&mut self, path: &str, body: &Value) -> String {
        let url = format!("{}{path}", self.api);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let text = answer.text().await.unwrap();
        self.seen.push_str(&text);
        text
    }

    async fn ready(&mut self, function: &str) {
        let began = Instant::now();
        loop {
            let text = self.get(&format!("/v1/function/{function}")).await;
            if text.contains("\"READY\"") {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "never READY: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A wasm function with a secret, behind a route.
    async fn deploy(&mut self) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wasm/hello.wat");
        let source = base64::engine::general_purpose::STANDARD.encode(std::fs::read(file).unwrap());
        let secret = json!({"name": "s", "secrets": {"password": CANARY}});
        let base = json!({"name": "base", "dockerUrl": "host:wasm", "language": "wasm"});
        let image = json!({"name": "wasm", "baseImageName": "base"});
        let function = json!({"name": "f", "image": "wasm", "source": source, "secrets": ["s"]});
        let api = json!({"name": "f", "function": "f", "uris": ["/f"], "methods": ["POST"]});
        self.post("/v1/secret", &secret).await;
        self.post("/v1/baseimage", &base).await;
        self.post("/v1/image", &image).await;
        self.post("/v1/function", &function).await;
        self.post("/v1/api", &api).await;
        self.ready("f").await;
    }
}

/// Waits until the gateway answers the route of [`Client::deploy`].
async fn route_answers(server: &Process) {
    let began = Instant::now();
    loop {
        let url = format!("{}/dispatch/f", server.gateway);
        let answer = reqwest::Client::new().post(url).json(&json!({})).send().await.unwrap();
        if answer.status() == 200 {
            assert!(answer.text().await.unwrap().contains("greeting"));
            return;
        }
        assert!(began.elapsed() < PATIENCE, "the route never answers: {}", answer.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_second_start_finds_everything_again() {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path());
    Client::of(&server).deploy().await;
    route_answers(&server).await;
    let certificate = std::fs::read(data.path().join("gateway/tls.crt")).unwrap();
    let began = Instant::now();
    let status = server.terminate();
    assert!(status.success(), "SIGTERM: {status}");
    assert!(began.elapsed() < Duration::from_secs(20), "stopped after {:?}", began.elapsed());
    let server = Process::start(data.path());
    route_answers(&server).await;
    assert_eq!(std::fs::read(data.path().join("gateway/tls.crt")).unwrap(), certificate);
    let secret = Client::of(&server).get("/v1/secret/s").await;
    assert!(secret.contains(CANARY), "the root key is the same");
}

#[tokio::test]
async fn a_secret_is_written_nowhere() {
    for format in ["text", "json"] {
        let data = tempfile::tempdir().unwrap();
        let vault = Vault::start(1).await;
        vault.put("dispatch/dispatch/kept", json!({"password": CANARY}));
        let stores = data.path().join("stores.toml");
        std::fs::write(&stores, stores_of(&vault)).unwrap();
        let stores = stores.display().to_string();
        let settings = [
            ("DISPATCH_LOG__FORMAT", format),
            ("DISPATCH_LOG", "debug"),
            ("DISPATCH_SECRETS__STORES_FILE", &stores),
        ];
        let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
        let mut client = Client::of(&server);
        let watched = server.request(Method::GET, "/v1/secret?watch=true").send().await.unwrap();
        client.deploy().await;
        route_answers(&server).await;
        provoke(&mut client).await;
        provoke_more(&mut client, &vault).await;
        client.seen.push_str(&two_events(watched).await);
        assert!(!client.seen.contains(CANARY), "an answer holds the secret's value");
        // With the write-ahead log of the database, then after a kill, then after a stop.
        look_through(data.path());
        server.kill();
        look_through(data.path());
        let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
        assert!(server.terminate().success());
        look_through(data.path());
        let log = std::fs::read_to_string(data.path().join("server.log")).unwrap();
        assert!(log.contains("missing") || log.contains("answered"), "nothing was logged: {log}");
    }
}

/// Everything that could tell: runs good and bad, errors about the secret, lists, metrics.
async fn provoke(client: &mut Client) {
    let run = json!({"functionName": "f", "blocking": true, "input": {}});
    client.post("/v1/runs", &run).await;
    client.post("/v1/runs", &json!({"functionName": "f", "input": {}})).await;
    let missing = json!({"functionName": "f", "blocking": true, "secrets": ["s", "gone"]});
    client.post("/v1/runs", &missing).await;
    client.post("/v1/secret", &json!({"name": "s", "secrets": {"password": CANARY}})).await;
    let broken = json!({"name": "b", "secrets": {"password": CANARY, "number": 7}});
    client.post("/v1/secret", &broken).await;
    let unknown = json!({"name": "b", "secret": {"password": CANARY}});
    client.post("/v1/secret", &unknown).await;
    let api = json!({"name": "tls", "function": "f", "uris": ["/t"], "hosts": ["t.example"],
        "tls": "s"});
    client.post("/v1/api", &api).await;
    for path in ["secret", "function", "function/f", "api", "image", "runs", "deadletters"] {
        client.get(&format!("/v1/{path}")).await;
    }
    for path in ["/metrics", "/readyz", "/healthz", "/v1/api/tls"] {
        client.get(path).await;
    }
    let url = format!("{}/v1/secret/s", client.api);
    let changed = json!({"secrets": {"password": CANARY, "more": CANARY}});
    let answer = client.http.put(url).json(&changed).send().await.unwrap();
    client.seen.push_str(&answer.text().await.unwrap());
}

/// A store that is open to all, which the secret `login` signs in to.
fn stores_of(vault: &Vault) -> String {
    let url = vault.url(0);
    format!(
        "[corp]\ntype = \"vault\"\naddresses = [\"{url}\"]\nmount = \"{MOUNT}\"\n\
         credentials = \"login\"\norganizations = [\"*\"]\n"
    )
}

/// Versions, a value that is kept elsewhere, and another root key.
async fn provoke_more(client: &mut Client, vault: &Vault) {
    client.post("/v1/secret/s/rollback", &json!({"version": 1})).await;
    let login = json!({"token": vault.token(Duration::ZERO)});
    client.post("/v1/secret", &json!({"name": "login", "secrets": login})).await;
    for (name, more) in [("kept", json!({})), ("odd", json!({"absent": "X"}))] {
        let source = json!({"type": "vault", "store": "corp", "path": "kept", "keys": more});
        client.post("/v1/secret", &json!({"name": name, "source": source})).await;
        let run = json!({"functionName": "f", "blocking": true, "secrets": [name]});
        let run = client.post("/v1/runs", &run).await;
        assert_eq!(run.contains("SECRET003"), name == "odd", "{run}");
    }
    vault.set(0, Mode::Sealed);
    client.get("/v1/secret/kept?read=true").await;
    client.post("/v1/rootkey/rotate", &Value::Null).await;
    for path in ["secret/s/versions", "secret/s/uses", "secret/kept", "secret/kept/uses", "rootkey"]
    {
        let text = client.get(&format!("/v1/{path}")).await;
        assert!(!text.contains("errorCode"), "{path}: {text}");
    }
    for path in ["/v1/secret", "/v1/runs", "/metrics"] {
        client.get(path).await;
    }
}

/// What a watch has told once it told of the secret twice.
async fn two_events(mut watched: reqwest::Response) -> String {
    let mut text = String::new();
    while text.matches("\"object\"").count() < 2 {
        let chunk = tokio::time::timeout(PATIENCE, watched.chunk()).await;
        let chunk = chunk.expect("events come").unwrap().expect("the watch goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

/// Fails when any file below a folder, the server's log among them, holds the canary.
fn look_through(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_through(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let found = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!found, "{} holds the secret's value", path.display());
        }
    }
}

#[test]
fn a_wrong_start_says_what_is_wrong() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("c.toml");
    std::fs::write(&config, "[api]\nlissten = \"127.0.0.1:0\"\n").unwrap();
    let cases: [(&[&str], &str); 3] = [
        (&["run", "--config", config.to_str().unwrap()], "listen"),
        (&["run", "--api", "not-an-address"], "api"),
        (&["run", "--config", "/nothing/there.toml"], "/nothing/there.toml"),
    ];
    for (words, part) in cases {
        let output = Command::new(server_binary())
            .args(words)
            .arg("--data-dir")
            .arg(data.path().join("d"))
            .output()
            .unwrap();
        assert!(!output.status.success(), "{words:?} started");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(part), "{words:?}: {text}");
    }
}

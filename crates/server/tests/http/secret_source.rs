//! Secrets that are kept in a Vault: who may name what there, what runs get, and that values are
//! nowhere else.

use std::time::Duration;

use dispatch_systems::vault::{MOUNT, Mode, Vault};
use dispatch_testkit::{Options, Server, eventually, send};
use reqwest::Method;
use reqwest::header::HOST;
use serde_json::{Value, json};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");
const HELLO: &[u8] = include_bytes!("../../../../examples/wasm/hello.wat");
const CANARY: &str = "c4n4ry-of-the-vault";

struct Bed {
    vault: Vault,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn start(settings: &str) -> Self {
        let vault = Vault::start(1).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stores.toml");
        let stores = format!(
            "[corp]\ntype = \"vault\"\naddresses = [\"{0}\"]\nmount = \"{MOUNT}\"\n\
             credentials = \"vault-login\"\norganizations = [\"dispatch\"]\ntimeout_ms = 1000\n\
             [theirs]\ntype = \"vault\"\naddresses = [\"{0}\"]\ncredentials = \"vault-login\"\n\
             organizations = [\"acme\"]\n",
            vault.url(0)
        );
        std::fs::write(&file, stores).unwrap();
        let settings = format!("[secrets]\nstores_file = \"{}\"\n{settings}", file.display());
        let server = Server::start_with(Options { settings }).await;
        let token = json!({"token": vault.token(Duration::ZERO)});
        let login = json!({"name": "vault-login", "secrets": token});
        server.post("/v1/secret", login).await.expect(201);
        server.image("wasm").await;
        Self { vault, server, _folder: folder }
    }

    /// A secret that is at this path of the organization, and two functions that get it.
    async fn secret(&self, path: &str) {
        let source = json!({"type": "vault", "store": "corp", "path": path,
            "keys": {"password": "PASSWORD"}, "cacheSeconds": 1});
        let shape = json!({"name": "db", "source": source});
        self.server.post("/v1/secret", shape).await.expect(201);
        let more = json!({"secrets": ["db"]});
        self.server.function("echo", "wasm", ECHO, more.clone()).await;
        self.server.function("hello", "wasm", HELLO, more).await;
    }

    async fn run(&self, function: &str) -> Value {
        let path = format!("/v1/runs?functionName={function}");
        self.server.post(&path, json!({"blocking": true})).await.expect(200).json()
    }
}

#[tokio::test]
async fn runs_get_what_is_in_the_vault() {
    let bed = Bed::start("").await;
    bed.vault.put("dispatch/dispatch/shop/db", json!({"password": CANARY, "more": "x"}));
    bed.secret("shop/db").await;
    assert_eq!(bed.vault.reads(), 0, "nothing is read before a run needs it");
    let run = bed.run("echo").await;
    assert_eq!(run["output"]["context"]["secrets"], json!({"PASSWORD": CANARY}));
    let used = json!([{"name": "db", "version": 1, "sourceVersion": "1"}]);
    assert_eq!(run["secretsUsed"], used);
    bed.vault.put("dispatch/dispatch/shop/db", json!({"password": "second"}));
    eventually("the next version is read", async || {
        let run = bed.run("echo").await;
        let second = run["output"]["context"]["secrets"]["PASSWORD"] == "second";
        (second && run["secretsUsed"][0]["sourceVersion"] == "2").then_some(()).ok_or(run)
    })
    .await;
    let metrics = bed.server.get("/metrics").await.text;
    for line in [
        "dispatch_secret_reads_total{store=\"corp\",outcome=\"ok\"}",
        "dispatch_secret_read_seconds_count{store=\"corp\"}",
        "dispatch_secret_age_seconds{store=\"corp\"}",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    let uses = bed.server.get("/v1/secret/db/uses").await.expect(200).json();
    assert_eq!(uses[0]["sourceVersion"], "2");
}

#[tokio::test]
async fn a_reference_is_shown_and_values_only_when_asked_for() {
    let bed = Bed::start("").await;
    bed.vault.put("dispatch/dispatch/db", json!({"password": CANARY}));
    bed.secret("db").await;
    let server = &bed.server;
    for path in ["/v1/secret/db", "/v1/secret", "/v1/secret/db/versions"] {
        let text = server.get(path).await.expect(200).text;
        assert!(text.contains("\"corp\"") && !text.contains(CANARY), "{text}");
    }
    assert_eq!(bed.vault.reads(), 0);
    let read = server.get("/v1/secret/db?read=true").await.expect(200).json();
    assert_eq!(read["secrets"], json!({"PASSWORD": CANARY}));
    let run = bed.run("hello").await;
    assert!(!run.to_string().contains(CANARY), "{run}");
    let runs = server.get("/v1/runs").await.expect(200).text;
    assert!(!runs.contains(CANARY), "{runs}");

    // Kept here from now on, and there again.
    server.put("/v1/secret/db", json!({"secrets": {"PASSWORD": "here"}})).await.expect(201);
    let here = server.get("/v1/secret/db").await.expect(200).json();
    assert_eq!((here.get("source"), &here["secrets"]["PASSWORD"]), (None, &json!("here")));
    let back = server.post("/v1/secret/db/rollback", json!({"version": 1})).await.expect(200);
    assert_eq!(back.json()["source"]["path"], "db");
    bed.vault.delete("dispatch/dispatch/db", 1, false);
    let error = server.get("/v1/secret/db?read=true").await.expect(503).error();
    assert_eq!(error.error_code.as_deref(), Some("SECRET003"));
    assert!(error.message.contains("was deleted there"), "{}", error.message);
}

#[tokio::test]
async fn an_organization_names_only_what_is_open_to_it() {
    let bed = Bed::start("").await;
    let refused = async |change: fn(&mut Value), field: &str| {
        let mut shape = json!({"name": "x", "source": {"type": "vault", "store": "corp",
            "path": "db"}});
        change(&mut shape);
        let error = bed.server.post("/v1/secret", shape).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(field), "{}", error.message);
        error.message
    };
    let theirs = refused(|s| s["source"]["store"] = json!("theirs"), "source.store").await;
    let none = refused(|s| s["source"]["store"] = json!("nowhere"), "source.store").await;
    assert_eq!(theirs.replace("theirs", "nowhere"), none, "it is not told what others have");
    refused(|s| s["source"]["type"] = json!("kubernetes"), "source.path").await;
    refused(|s| s["source"]["path"] = json!("../acme/db"), "source.path").await;
    refused(|s| s["source"]["path"] = json!("a/%2e%2e/b"), "source.path").await;
    refused(|s| s["source"]["cacheSeconds"] = json!(9_999_999), "source.cacheSeconds").await;
    refused(|s| s["secrets"] = json!({"a": "b"}), "secrets").await;
    refused(|s| s["source"]["address"] = json!("http://169.254.169.254"), "source.address").await;
    assert_eq!((bed.vault.reads(), bed.vault.logins()), (0, 0));
}

#[tokio::test]
async fn a_vault_that_is_away_fails_runs_in_words() {
    let bed = Bed::start("max_stale_s = 0\nretry_ms = 50\n").await;
    bed.vault.put("dispatch/dispatch/db", json!({"password": CANARY}));
    bed.secret("db").await;
    assert_eq!(bed.run("hello").await["status"], "READY");
    bed.vault.set(0, Mode::Sealed);
    let failed = eventually("its time is over", async || {
        let run = bed.run("hello").await;
        (run["status"] == "ERROR").then(|| run.clone()).ok_or(run)
    })
    .await;
    assert_eq!(failed["error"]["type"], "SystemError");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("SECRET003: secret db was not read from store corp"), "{message}");
    assert!(message.contains("sealed") && !message.contains("127.0.0.1"), "{message}");
    bed.vault.set(0, Mode::Active);
    eventually("it is read again", async || {
        let run = bed.run("hello").await;
        (run["status"] == "READY").then_some(()).ok_or(run)
    })
    .await;
    let error = bed.server.get("/v1/secret/db?read=true").await.expect(200);
    assert!(error.text.contains(CANARY));
}

/// Nothing changes here when the vault comes back: the API is tried again by itself.
#[tokio::test]
async fn a_certificate_in_a_vault_that_is_away_is_served_once_it_is_back() {
    let mut bed = Bed::start("max_stale_s = 0\nretry_ms = 50\n").await;
    let made = rcgen::generate_simple_self_signed(vec!["a.example.org".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    bed.vault.set(0, Mode::Sealed);
    bed.server.function("hello", "wasm", HELLO, json!({})).await;
    let keys = json!({"certificate": "tls.crt", "key": "tls.key"});
    let source = json!({"type": "vault", "store": "corp", "path": "cert", "keys": keys});
    let secret = json!({"name": "cert", "source": source});
    bed.server.post("/v1/secret", secret).await.expect(201);
    let api = json!({"name": "a", "function": "hello", "hosts": ["a.example.org"],
        "uris": ["/a"], "tls": "cert"});
    bed.server.post("/v1/api", api).await.expect(200);
    let found = bed.server.wait_for("/v1/api/a", "ERROR").await;
    assert!(found["reason"][0].as_str().unwrap().contains("SECRET003"), "{found}");
    // It answers, and then it has the certificate.
    bed.vault.set(0, Mode::Active);
    eventually("the vault says that nothing is there", async || {
        let api = bed.server.get("/v1/api/a").await.json();
        (api["reason"] != found["reason"]).then_some(()).ok_or(api)
    })
    .await;
    bed.vault.put("dispatch/dispatch/cert", json!({"certificate": certificate, "key": key}));
    bed.server.wait_for("/v1/api/a", "READY").await;
    let served = async |server: &Server| {
        let request = server.gateway(Method::GET, "/a").header(HOST, "a.example.org");
        send(request).await.status
    };
    assert_eq!(served(&bed.server).await, 200);
    // Who starts while it is away does not take from others what they serve.
    bed.vault.set(0, Mode::Sealed);
    bed.server.restart().await;
    assert_eq!(served(&bed.server).await, 404);
    assert_eq!(bed.server.get("/v1/api/a").await.expect(200).json()["status"], "READY");
    bed.vault.set(0, Mode::Active);
    eventually("it is served again", async || {
        let status = served(&bed.server).await;
        (status == 200).then_some(()).ok_or(status.to_string())
    })
    .await;
}

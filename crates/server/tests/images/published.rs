//! What goes to a registry: images with their bills and a signature, programs, and the way back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_images::layer::Limits;
use dispatch_images::registry::{Credentials, Reference, Registries, Settings};
use dispatch_images::sign::{PublicKey, SigningKey, verify};
use dispatch_images::{Content, Digest};
use dispatch_systems::image::python_layout;
use dispatch_systems::programs;
use dispatch_systems::registry::{self, Registry};
use dispatch_testkit::{Options, Server};
use serde_json::{Value, json};

const SOURCE: &str = "def handle(context, payload):\n    return payload\n";

/// A server that publishes, and somebody who has nothing but the registry.
struct Bed {
    server: Server,
    registry: Registry,
    registries: Registries,
    elsewhere: Content,
    base: Digest,
    _directory: tempfile::TempDir,
}

impl Bed {
    /// None, plainly said, where this machine lacks a part.
    async fn start() -> Option<Self> {
        if !programs::has(registry::PROGRAMS) {
            return None;
        }
        let (registry, directory) = (Registry::start(), tempfile::tempdir().unwrap());
        let address = registry.address.clone();
        let layout = python_layout(directory.path(), "12").await;
        let base = registry.push(&layout, "python", "python:3").parse().unwrap();
        let settings =
            format!("[images]\nplain_http = [{address:?}]\nregistry = \"{address}/tests\"\n");
        let server = Server::start_with(Options { settings }).await;
        let limits = Limits { max_bytes: 1 << 30, max_entries: 100_000, owner: None };
        let elsewhere = Content::open(&directory.path().join("elsewhere"), limits).unwrap();
        let settings = Settings {
            plain_http: vec![address.clone()],
            max_image_bytes: 1 << 30,
            connect_timeout: std::time::Duration::from_secs(5),
            stall_timeout: std::time::Duration::from_secs(30),
            ..Settings::default()
        };
        let registries = Registries::new(settings).unwrap();
        let bed = Self { server, registry, registries, elsewhere, base, _directory: directory };
        bed.server.image_with("python3", &format!("{address}/python:3")).await;
        bed.server.wait_for("/v1/image/python3", "READY").await;
        Some(bed)
    }

    fn reference(&self, name: &str) -> Reference {
        format!("{}/{name}", self.registry.address).parse().unwrap()
    }

    async fn function(&self) -> Value {
        let body = json!({"name": "hello", "image": "python3", "handler": "hello.handle",
            "source": STANDARD.encode(SOURCE)});
        self.server.post("/v1/function", body).await.expect(201);
        self.server.wait_for("/v1/function/hello", "READY").await
    }

    /// Whether a signature by one of the keys lies beside what a resource has.
    async fn is_signed(&self, keys: &[PublicKey], name: &str, digest: &Digest) -> bool {
        let at = self.reference(name);
        let all = self.registries.signatures(&at, digest, &Credentials::Nobody).await.unwrap();
        let url = format!("{}/{name}", self.registry.address);
        all.iter().any(|one| {
            let held = verify(keys, digest, &one.payload, &one.signature);
            held.is_ok_and(|held| held.reference == url)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_has_its_bills_and_a_signature_by_the_key_that_is_served() {
    let Some(bed) = Bed::start().await else { return };
    let function = bed.function().await;
    let key = bed.server.get("/v1/signingkey").await.expect(200).text;
    let key = [PublicKey::from_pem(&key).unwrap()];
    let image = bed.server.get("/v1/image/python3").await.expect(200).json();
    for (thing, kind, name) in [(&image, "image", "python3"), (&function, "function", "hello")] {
        let digest: Digest = thing["digest"].as_str().unwrap().parse().unwrap();
        let repository = format!("tests/dispatch/{kind}s/{name}");
        let at = bed.reference(&repository);
        assert_eq!(bed.registries.resolve(&at, &Credentials::Nobody).await.unwrap(), digest);
        let listed = bed.registries.referrers(&at, &digest, None, &Credentials::Nobody).await;
        let mut types: Vec<_> = listed.unwrap().into_iter().collect();
        types.sort_by(|a, b| a.artifact_type.cmp(&b.artifact_type));
        let names: Vec<_> = types.iter().map(|one| one.artifact_type.as_str()).collect();
        assert_eq!(names, ["application/spdx+json", "application/vnd.cyclonedx+json"]);
        let nobody = Credentials::Nobody;
        let bill = at.at(&types[1].digest);
        let bill = bed.registries.pull_artifact(&bill, &nobody, &bed.elsewhere).await.unwrap();
        let (_, file) = bill.files().next().unwrap();
        let document = bed.elsewhere.document(file).await.unwrap();
        let served = bed.server.get(&format!("/v1/{kind}/{name}/bill")).await.expect(200);
        assert_eq!(String::from_utf8(document).unwrap(), served.text);
        assert!(bed.is_signed(&key, &repository, &digest).await, "{repository}");
        let other = [SigningKey::generate().unwrap().public()];
        assert!(!bed.is_signed(&other, &repository, &digest).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_pushed_in_the_layout_of_its_runtimes() {
    let Some(bed) = Bed::start().await else { return };
    bed.server.image("wasm").await;
    let source = include_bytes!("../../../../examples/wasm/echo.wat");
    let function = bed.server.function("echo", "wasm", source, json!({})).await;
    let at = bed.reference("tests/dispatch/functions/echo");
    let nobody = Credentials::Nobody;
    let program = bed.registries.pull_artifact(&at, &nobody, &bed.elsewhere).await.unwrap();
    assert_eq!(program.digest.as_str(), function["digest"].as_str().unwrap());
    let config = program.manifest.config();
    assert_eq!(config.media_type().to_string(), "application/vnd.wasm.config.v0+json");
    let config: Digest = config.digest().to_string().parse().unwrap();
    let config = bed.elsewhere.document(&config).await.unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["os"], &config["architecture"]), (&json!("wasip2"), &json!("wasm")));
    assert!(config["component"]["exports"].as_array().unwrap().iter().any(|e| e == "handle"));
    let (kind, file) = program.files().next().unwrap();
    assert_eq!(kind, "application/wasm");
    assert!(bed.elsewhere.document(file).await.unwrap().starts_with(b"\0asm"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_asks_for_signed_bases_and_takes_keys_of_others() {
    let Some(bed) = Bed::start().await else { return };
    let vendor = SigningKey::generate().unwrap();
    let policy = json!({"name": "signed", "keys": [vendor.public_pem()],
        "rules": [{"name": "signed bases", "effect": "deny", "match": {"unsigned": true}}]});
    bed.server.post("/v1/imagepolicy", policy).await.expect(201);
    let image = bed.server.wait_for("/v1/image/python3", "ERROR").await;
    let reason = image["reason"][0].as_str().unwrap();
    assert!(reason.contains("no signature we trust"), "{reason}");
    let at = bed.reference("python:3");
    let name = format!("{}/python", bed.registry.address);
    let update = async |key: &SigningKey| {
        let signature = key.sign(&bed.base, &name).unwrap();
        let (base, content, nobody) = (&bed.base, &bed.elsewhere, &Credentials::Nobody);
        let pushed = bed.registries.push_signature(signature, &at, base, nobody, content);
        pushed.await.unwrap();
        let base = json!({"language": "python3", "dockerUrl": at.to_string()});
        bed.server.put("/v1/baseimage/python3-base", base).await.expect(200);
        bed.server.wait_for("/v1/baseimage/python3-base", "READY").await;
    };
    update(&SigningKey::generate().unwrap()).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    bed.server.wait_for("/v1/image/python3", "ERROR").await;
    update(&vendor).await;
    bed.server.wait_for("/v1/image/python3", "READY").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_content_fetches_it_from_the_registry() {
    let Some(mut bed) = Bed::start().await else { return };
    bed.function().await;
    bed.server.stop().await;
    std::fs::remove_dir_all(bed.server.data_dir().join("images")).unwrap();
    bed.server.restart().await;
    let call = json!({"functionName": "hello", "blocking": true, "input": 7});
    let run = bed.server.post("/v1/runs", call).await.expect(200).json();
    assert_eq!(run["output"], 7, "{run}");
    bed.server.stop().await;
}

//! Known vulnerabilities, image policies, what is protected, what is let go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_model::OrgName;
use dispatch_testkit::{Answer, Client, Server, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::content::{Bed, SOURCE, bed};

/// A record of a vulnerability of Debian's openssl.
fn record(id: &str, vector: &str, fixed: &str) -> Value {
    json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "aliases": [id.replace("DSA", "CVE")],
        "summary": "a flaw",
        "severity": [{"type": "CVSS_V3", "score": vector}],
        "affected": [{
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM",
                "events": [{"introduced": "0"}, {"fixed": fixed}]}],
        }],
    })
}

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const LOW: &str = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N";

async fn import(client: &Client, records: Value) -> Answer {
    client.put("/v1/vulnerability/database", records).await
}

async fn report(client: &Client, path: &str) -> Value {
    client.get(path).await.expect(200).json()
}

/// Once all is scanned.
async fn scanned(client: &Client) -> Value {
    eventually("all is scanned", async || {
        let report = report(client, "/v1/vulnerability").await;
        if report["pending"] == 0 { Ok(report) } else { Err(report) }
    })
    .await
}

async fn policy(client: &Client, name: &str, body: Value) {
    let mut body = body;
    body["name"] = name.into();
    client.post("/v1/imagepolicy", body).await.expect(201);
}

async fn error(client: &Client, path: &str) -> String {
    let thing = client.wait_for(path, "ERROR").await;
    thing["reason"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect::<String>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_database_says_what_is_known_of_what_is_there_and_what_comes() {
    let bed = bed().await;
    let server = &bed.server;
    bed.function("hello", SOURCE).await;
    server.get("/v1/vulnerability/database").await.expect(204);
    let before = report(server, "/v1/vulnerability").await;
    assert_eq!((&before["database"], &before["vulnerabilities"]), (&Value::Null, &json!([])));

    let records = json!([
        record("DSA-1", CRITICAL, "3.0.13-1"),
        record("DSA-2", LOW, "3.0.99-1"),
        record("DSA-3", CRITICAL, "3.0.1-1")
    ]);
    let imported = import(server, records).await.expect(200).json();
    assert_eq!((&imported["vulnerabilities"], &imported["records"]), (&json!(3), &json!(3)));
    let report = scanned(server).await;
    let found = report["vulnerabilities"].as_array().unwrap();
    let ids: Vec<_> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["DSA-1", "DSA-2"], "{report}");
    assert_eq!(
        (&found[0]["severity"], &found[0]["fixedIn"]),
        (&json!("CRITICAL"), &json!("3.0.13-1"))
    );
    let users: Vec<_> =
        found[0]["users"].as_array().unwrap().iter().map(|u| u["kind"].as_str().unwrap()).collect();
    assert_eq!(users, ["BaseImage", "Image", "Function"]);
    let path = "/v1/vulnerability?severity=high&package=openssl";
    let high = self::report(server, path).await["vulnerabilities"].clone();
    assert_eq!(high.as_array().unwrap().len(), 1);
    let one = self::report(server, "/v1/function/hello/vulnerability?severity=CRITICAL").await;
    assert_eq!(one["vulnerabilities"][0]["aliases"], json!(["CVE-1"]));

    // A new database takes the place of the old one, also for what was scanned.
    import(server, json!(record("DSA-4", LOW, "3.0.99-1"))).await.expect(200);
    let report = scanned(server).await;
    assert_eq!(report["vulnerabilities"][0]["id"], "DSA-4", "{report}");
    assert_eq!(report["vulnerabilities"].as_array().unwrap().len(), 1);

    for path in ["/v1/vulnerability?package=%00", "/v1/package?name=%00", "/v1/image?name=a%00"] {
        server.get(path).await.expect(400);
    }
    let again = json!([record("DSA-4", LOW, "3.0.99-1")]);
    let same = import(server, again).await.expect(200).json()["digest"].clone();
    let wrong = server.get("/v1/vulnerability?severity=awful").await.expect(400).error();
    assert_eq!(wrong.field.as_deref(), Some("severity"));
    for (body, word) in [(json!({"a": 1}), "is no record"), (json!([]), "of 0 records")] {
        let refused = import(server, body).await.expect(400).text;
        assert!(refused.contains(word), "{refused}");
    }
    let kept = server.get("/v1/vulnerability/database").await.expect(200).json();
    assert_eq!((&kept["vulnerabilities"], &kept["digest"]), (&json!(1), &same));
    let again = import(server, json!([record("DSA-4", LOW, "3.0.99-1")])).await.expect(200).json();
    assert_eq!(again["digest"], same);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_archives_is_imported_and_a_restart_keeps_it() {
    let mut server = Server::start().await;
    let make = "import io, json, sys, tarfile, zipfile\n\
        inner = io.BytesIO()\n\
        z = zipfile.ZipFile(inner, 'w')\n\
        z.writestr('a.json', sys.argv[2])\n\
        z.close()\n\
        tar = tarfile.open(sys.argv[1], 'w:gz')\n\
        for name, data in [('Debian/all.zip', inner.getvalue()), ('b.json', sys.argv[3].encode()), \
                           ('README', b'no record'), ('c.json', b'{')]:\n    \
            info = tarfile.TarInfo(name)\n    \
            info.size = len(data)\n    \
            tar.addfile(info, io.BytesIO(data))\n\
        tar.close()\n";
    let file = server.data_dir().join("records.tar.gz");
    let records = [record("DSA-1", LOW, "9"), record("DSA-2", LOW, "9")];
    let made = std::process::Command::new("python3")
        .args(["-c", make])
        .arg(&file)
        .args(records.map(|record| record.to_string()))
        .status();
    assert!(made.unwrap().success());
    let path = "/v1/vulnerability/database";
    let request = server.request(Method::PUT, path).body(std::fs::read(&file).unwrap());
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&answer["vulnerabilities"], &answer["damaged"]),
        (&json!(2), &json!(1)),
        "{answer}"
    );
    assert!(answer["notes"][0].as_str().unwrap().contains("c.json"), "{answer}");
    server.restart().await;
    assert_eq!(server.get(path).await.expect(200).json()["digest"], answer["digest"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_stop_builds_and_deployments_by_name_of_package_and_rule() {
    let bed = bed().await;
    let server = &bed.server;
    bed.function("hello", SOURCE).await;
    policy(
        server,
        "strict",
        json!({"rules": [
            {"name": "no openssl", "effect": "deny",
                "match": {"package": "openssl", "ecosystem": "deb", "version": "< 3.1"}},
        ]}),
    )
    .await;
    // What was READY is found out; what runs on it goes on.
    let reason = error(server, "/v1/image/py").await;
    assert!(reason.contains("openssl 3.0.12-1"), "{reason}");
    assert!(
        reason.contains("denied by the rule \"no openssl\" of image policy strict"),
        "{reason}"
    );
    assert_eq!(bed.call("hello").await["payload"], 7);
    let hello = server.get("/v1/function/hello").await.expect(200).json();
    assert_eq!(hello["status"], "READY", "{hello}");
    let body = json!({"name": "late", "image": "py", "handler": "hello.handle",
        "source": STANDARD.encode(SOURCE)});
    server.post("/v1/function", body).await.expect(201);
    let reason = error(server, "/v1/function/late").await;
    assert!(reason.contains("no openssl"), "{reason}");
    server.post("/v1/image", json!({"name": "other", "baseImageName": "base"})).await.expect(201);
    assert!(error(server, "/v1/image/other").await.contains("no openssl"));

    // Only a warning.
    let warn = json!({"mode": "warn", "rules": [
        {"name": "no openssl", "effect": "deny", "match": {"package": "openssl"}}]});
    server.put("/v1/imagepolicy/strict", warn).await.expect(200);
    let image = server.wait_for("/v1/image/py", "READY").await;
    assert!(image["reason"][0].as_str().unwrap().contains("no openssl"), "{image}");
    server.wait_for("/v1/function/late", "READY").await;
    server.delete("/v1/imagepolicy/strict").await.expect(200);
    eventually("nothing is discouraged", async || {
        let image = server.get("/v1/image/py").await.json();
        if image["reason"].is_null() { Ok(()) } else { Err(image) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_know_bases_signatures_severities_and_grace() {
    let bed = bed().await;
    let server = &bed.server;
    server.wait_for("/v1/image/py", "READY").await;
    let rule =
        |name: &str, matches: Value| json!({"name": name, "effect": "deny", "match": matches});
    policy(
        server,
        "bases",
        json!({"rules": [
            {"name": "layouts", "effect": "allow", "match": {"baseImage": "oci:*"}},
            rule("no others", json!({"baseImage": "*"})),
        ]}),
    )
    .await;
    server.image_with("wasm", "host:wasm").await;
    let reason = error(server, "/v1/image/wasm").await;
    assert!(reason.contains("host:wasm is denied by the rule \"no others\""), "{reason}");
    server.delete("/v1/imagepolicy/bases").await.expect(200);
    server.wait_for("/v1/image/wasm", "READY").await;

    policy(server, "signed", json!({"rules": [rule("signed", json!({"unsigned": true}))]})).await;
    let reason = error(server, "/v1/image/py").await;
    assert!(reason.contains("no signature we trust"), "{reason}");
    server.delete("/v1/imagepolicy/signed").await.expect(200);
    server.wait_for("/v1/image/py", "READY").await;

    // A database that comes later is held against what was admitted before.
    policy(
        server,
        "flaws",
        json!({"rules": [rule("high", json!({"severity": {"above": "MEDIUM"}}))]}),
    )
    .await;
    eventually("what cannot be known is said", async || {
        let image = server.get("/v1/image/py").await.json();
        let said = image["reason"].to_string().contains("no vulnerability database");
        if said { Ok(()) } else { Err(image) }
    })
    .await;
    import(server, json!([record("DSA-1", CRITICAL, "3.0.13-1")])).await.expect(200);
    let reason = error(server, "/v1/image/py").await;
    assert!(reason.contains("DSA-1 (CRITICAL, fixed in 3.0.13-1)"), "{reason}");

    // With a grace period it is only said, with the date.
    let mut graceful = rule("high", json!({"severity": {"above": "MEDIUM"}}));
    graceful["graceDays"] = 7.into();
    let body = json!({"rules": [graceful]});
    server.put("/v1/imagepolicy/flaws", body.clone()).await.expect(200);
    let image = server.wait_for("/v1/image/py", "READY").await;
    assert!(image["reason"][0].as_str().unwrap().contains("denied from 20"), "{image}");
    let first = image["reason"].clone();
    // The time counts from the first finding, not from the last look.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    server.put("/v1/imagepolicy/flaws", body).await.expect(200);
    server.post("/v1/image", json!({"name": "other", "baseImageName": "base"})).await.expect(201);
    let other = server.wait_for("/v1/image/other", "READY").await;
    assert_eq!(other["reason"], first);

    for (rules, field) in [
        (json!([{"name": "x", "effect": "deny", "match": {}}]), "rules[0].match"),
        (
            json!([{"name": "x", "effect": "deny", "match": {"severity": {"above": "AWFUL"}}}]),
            "rules[0].match.severity.above",
        ),
    ] {
        let body = json!({"name": "bad", "rules": rules});
        let refused = server.post("/v1/imagepolicy", body).await.expect(400).error();
        assert_eq!(refused.field.as_deref(), Some(field));
    }
    let pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let body = json!({"name": "bad", "keys": [pem]});
    let refused = server.post("/v1/imagepolicy", body).await.expect(400).error();
    assert_eq!(refused.field.as_deref(), Some("keys[0]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_built_is_judged_by_what_it_was_built_on() {
    let bed = bed().await;
    let server = &bed.server;
    server.wait_for("/v1/image/py", "READY").await;
    // The base leads elsewhere by now, and there is nothing.
    let gone = format!("oci:{}:gone", bed.directory.path().join("layout").display());
    let base = json!({"dockerUrl": gone, "language": "python3"});
    server.put("/v1/baseimage/base", base).await.expect(200);
    server.wait_for("/v1/baseimage/base", "ERROR").await;
    let detour = bed.url.replacen("layout", "./layout", 1);
    let base = json!({"name": "detour", "dockerUrl": detour, "language": "python3"});
    server.post("/v1/baseimage", base).await.expect(201);
    server
        .post("/v1/image", json!({"name": "around", "baseImageName": "detour"}))
        .await
        .expect(201);
    server.wait_for("/v1/image/around", "READY").await;
    policy(
        server,
        "bases",
        json!({"rules": [
        {"name": "none", "effect": "deny", "match": {"baseImage": bed.url}},
        {"name": "host", "effect": "deny", "match": {"baseImage": "host:wasm"}}]}),
    )
    .await;
    for image in ["py", "around"] {
        assert!(error(server, &format!("/v1/image/{image}")).await.contains("\"none\""));
    }
    server.image_with("wasm", "host:Wasm").await;
    assert!(error(server, "/v1/image/wasm").await.contains("\"host\""));
    server.delete("/v1/imagepolicy/bases").await.expect(200);
    // An image outlives its base, also for functions that come later.
    server.wait_for("/v1/image/py", "READY").await;
    server.delete("/v1/baseimage/base").await.expect(200);
    server.wait_gone("/v1/baseimage/base").await;
    bed.function("hello", SOURCE).await;
    assert_eq!(bed.call("hello").await["payload"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_in_a_functions_own_source_count_on_every_image() {
    let server = Server::start().await;
    server.image("python3").await;
    policy(
        &server,
        "strict",
        json!({"rules": [
        {"name": "evil", "effect": "deny", "match": {"package": "evil-pkg"}}]}),
    )
    .await;
    let make = "import io, sys, tarfile\n\
        tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w:gz')\n\
        for name, text in [('hello.py', 'def handle(c, p):\\n    return p\\n'), \
          ('Evil_Pkg-1.0.dist-info/METADATA', \
           'Metadata-Version: 2.1\\nName: Evil_Pkg\\nVersion: 1.0\\n')]:\n    \
            info = tarfile.TarInfo(name)\n    \
            info.size = len(text)\n    \
            tar.addfile(info, io.BytesIO(text.encode()))\n\
        tar.close()\n";
    let made = std::process::Command::new("python3").args(["-c", make]).output().unwrap();
    assert!(made.status.success());
    let body = json!({"name": "hello", "image": "python3", "handler": "hello.handle",
        "source": STANDARD.encode(made.stdout)});
    server.post("/v1/function", body).await.expect(201);
    let reason = error(&server, "/v1/function/hello").await;
    assert!(reason.contains("Evil_Pkg 1.0") && reason.contains("\"evil\""), "{reason}");
    // What was stopped goes on as soon as it is admitted.
    server.delete("/v1/imagepolicy/strict").await.expect(200);
    server.wait_for("/v1/function/hello", "READY").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_of_which_nothing_is_known_is_not_admitted() {
    let bed = bed().await;
    let server = &bed.server;
    bed.function("hello", SOURCE).await;
    let store = &server.running().app.store;
    for (digest, ..) in store.content_of(&OrgName::new("dispatch").unwrap()).await.unwrap() {
        store.content_forget(&digest).await.unwrap();
    }
    policy(
        server,
        "any",
        json!({"rules": [
        {"name": "x", "effect": "deny", "match": {"package": "never"}}]}),
    )
    .await;
    let reason = error(server, "/v1/image/py").await;
    assert!(reason.contains("dispatch rebuild"), "{reason}");
    server.post("/v1/image/py/rebuild", json!({})).await.expect(202);
    server.wait_for("/v1/image/py", "READY").await;
    assert_eq!(bed.call("hello").await["payload"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_protects_what_is_in_use() {
    let bed = bed().await;
    let server = &bed.server;
    bed.function("hello", SOURCE).await;
    let path = "/v1/iam/organization/dispatch";
    server.put(path, json!({"protectInUse": true})).await.expect(200);
    assert_eq!(server.get(path).await.expect(200).json()["protectInUse"], true);
    let refused = server.delete("/v1/image/py").await.expect(409).error();
    assert!(refused.message.contains("function hello"), "{}", refused.message);
    server.delete("/v1/baseimage/base").await.expect(409);
    server.put(path, json!({})).await.expect(200);
    server.delete("/v1/image/py").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_needs_is_let_go_and_what_runs_stays() {
    let Bed { mut server, directory: _directory, .. } = bed().await;
    server.wait_for("/v1/image/py", "READY").await;
    let prune = async |server: &Server, query: &str| {
        server.post(&format!("/v1/prune{query}"), json!({})).await.expect(200).json()
    };
    let none = prune(&server, "?minAge=0").await;
    assert_eq!(none, json!({"blobs": 0, "layers": 0, "bytes": 0, "dryRun": false}));
    let body = json!({"name": "hello", "image": "py", "handler": "hello.handle",
        "source": STANDARD.encode(SOURCE)});
    server.post("/v1/function", body).await.expect(201);
    server.wait_for("/v1/function/hello", "READY").await;
    for path in ["/v1/image/py", "/v1/baseimage/base"] {
        server.delete(path).await.expect(200);
        server.wait_gone(path).await;
    }
    // The function runs on what it holds.
    prune(&server, "?minAge=0").await;
    let call = json!({"functionName": "hello", "blocking": true, "input": 7});
    let run = server.post("/v1/runs", call).await.expect(200).json();
    assert_eq!(run["output"]["payload"], 7, "{run}");

    server.delete("/v1/function/hello").await.expect(200);
    server.wait_gone("/v1/function/hello").await;
    let young = prune(&server, "?dryRun=true").await;
    assert_eq!((&young["blobs"], &young["dryRun"]), (&json!(0), &json!(true)));
    let would = prune(&server, "?minAge=0&dryRun=true").await;
    assert!(would["layers"].as_u64().unwrap() >= 1 && would["bytes"].as_u64().unwrap() > 1_000_000);
    let did = prune(&server, "?minAge=0").await;
    assert_eq!((&did["layers"], &did["blobs"]), (&would["layers"], &would["blobs"]));
    assert_eq!(prune(&server, "?minAge=0").await["blobs"], 0);
    prune(&server, "?minAge=18446744073709551615").await;
    let layers = std::fs::read_dir(server.data_dir().join("images/layers")).unwrap();
    assert_eq!(layers.count(), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wasm_function_is_an_artifact_of_its_own() {
    let server = Server::start().await;
    server.image("wasm").await;
    let source = include_bytes!("../../../../examples/wasm/echo.wat");
    let function = server.function("echo", "wasm", source, json!({})).await;
    assert!(function["digest"].as_str().unwrap().starts_with("sha256:"), "{function}");
    let content = server.get("/v1/function/echo/content").await.expect(200).json();
    assert_eq!((&content["platform"], &content["kind"]), (&json!("wasm"), &json!("function")));
    let layer = content["layers"][0]["digest"].as_str().unwrap();
    let hex = layer.strip_prefix("sha256:").unwrap();
    let blob = server.data_dir().join("images/blobs/sha256").join(hex);
    assert!(std::fs::read(blob).unwrap().starts_with(b"\0asm\x0d\0\x01\0"));
    let bill = server.get("/v1/function/echo/bill").await.expect(200).json();
    assert_eq!(bill["metadata"]["component"]["name"], "echo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_that_signs_is_served_and_stays() {
    let mut server = Server::start().await;
    let key = server.get("/v1/signingkey").await.expect(200).text;
    assert!(key.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{key}");
    server.restart().await;
    assert_eq!(server.get("/v1/signingkey").await.expect(200).text, key);
    server.stop().await;
}

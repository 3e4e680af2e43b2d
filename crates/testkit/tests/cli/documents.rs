//! `create`, `update`, `apply` and `delete` with files of documents.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;

use crate::bench::{Bench, example, stable};

/// In no useful order, so that the command has to find one.
const SHOP: &str = "\
kind: API
name: shop
function: shop
uris: [/shop]
---
kind: Function
name: shop
image: wasm
sourcePath: shop.wat
---
kind: Image
name: wasm
baseImageName: wasm-base
---
kind: Secret
name: pem
secrets:
  key: |
    -----BEGIN PRIVATE KEY-----
    ---
    -----END PRIVATE KEY-----
---
kind: BaseImage
name: wasm-base
dockerUrl: host:wasm
language: wasm
---
kind: Application
name: mall
";

fn shop() -> Bench {
    let bench = Bench::start();
    bench.cli.file("shop/shop.wat", &example("wasm/echo.wat"));
    bench.cli.file("shop/dispatch.yaml", SHOP);
    bench
}

#[test]
fn many_documents_are_created_in_order_and_deleted_in_reverse() {
    let bench = shop();
    let cli = &bench.cli;
    let made = "Created Application: mall\nCreated Secret: pem\nCreated BaseImage: wasm-base\n\
                Created Image: wasm\nCreated Function: shop\nCreated API: shop\n";
    assert_eq!(cli.ok("create -f shop/dispatch.yaml -w shop -a mall --wait"), made);
    let pem = cli.json("get secret pem");
    assert!(pem["secrets"]["key"].as_str().unwrap().contains("\n---\n"), "{pem}");
    assert_eq!(cli.json("get functions -a mall").as_array().unwrap().len(), 1);
    assert_eq!(cli.json("get functions -a other"), json!([]));
    let said = cli.fails("create -f shop/dispatch.yaml -w shop");
    assert!(said.contains("[Code: 409]") && said.contains("dispatch.yaml:28: Application mall"));
    // Deleting needs no source.
    std::fs::remove_file(cli.home().join("shop/shop.wat")).unwrap();
    let gone: String = made
        .replace("Created", "Deleted")
        .lines()
        .rev()
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(cli.ok("delete -f shop/dispatch.yaml"), gone);
    let said = cli.fails("delete -f shop/dispatch.yaml");
    assert!(said.contains("[Code: 404]"), "{said}");
}

#[test]
fn for_programs_documents_are_one_object_keyed_by_kind() {
    let bench = shop();
    let cli = &bench.cli;
    let text = cli.ok("create -f shop/dispatch.yaml -w shop --json");
    let made: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(made["Function"][0]["name"], "shop");
    assert_eq!(made["API"][0]["kind"], "API");
    let updated = cli.json("update -f shop/dispatch.yaml -w shop");
    assert_eq!(updated["Image"][0]["name"], "wasm");
    let deleted = cli.json("delete -f shop/dispatch.yaml -w shop");
    assert_eq!(deleted["BaseImage"][0]["name"], "wasm-base");
}

#[test]
fn update_changes_what_is_there_and_only_that() {
    let bench = shop();
    let cli = &bench.cli;
    let said = cli.fails("update -f shop/dispatch.yaml -w shop");
    assert!(said.contains("[Code: 404]"), "{said}");
    assert_eq!(cli.json("get functions"), json!([]));
    cli.ok("create -f shop/dispatch.yaml -w shop --wait");
    cli.file("shop/dispatch.yaml", &SHOP.replace("uris: [/shop]", "uris: [/mall]"));
    let said = cli.ok("update -f shop/dispatch.yaml -w shop");
    assert!(said.contains("Updated Function: shop\n") && said.contains("Updated API: shop\n"));
    assert_eq!(cli.json("get api shop")["uris"], json!(["/mall"]));
}

#[test]
fn apply_creates_changes_and_shows_the_difference_before() {
    let bench = shop();
    let cli = &bench.cli;
    let dry = cli.ok("apply -f shop/dispatch.yaml -w shop --dry-run");
    assert!(dry.contains("+sourceDigest: sha256:") && !dry.contains("PRIVATE KEY"), "{dry}");
    assert_eq!(cli.json("get images"), json!([]), "a dry run changes nothing");
    let said = cli.ok("apply -f shop/dispatch.yaml -w shop --wait");
    assert!(said.contains("Created Function: shop\n"), "{said}");
    assert_eq!(cli.json("get function shop")["status"], "READY");
    let dry = cli.ok("apply -f shop/dispatch.yaml -w shop --dry-run");
    assert!(dry.lines().all(|line| line.ends_with(": unchanged")), "{dry}");
    let changed = SHOP.replace("[/shop]", "[/shop, /mall]").replace("    ---\n", "    more\n");
    cli.file("shop/dispatch.yaml", &changed);
    let dry = cli.ok("apply -f shop/dispatch.yaml -w shop --dry-run");
    insta::assert_snapshot!(stable(&dry));
    let changes = cli.json("apply -f shop/dispatch.yaml -w shop --dry-run");
    let of = |kind: &str| {
        let all = changes.as_array().unwrap().iter();
        all.clone().find(|change| change["kind"] == kind).unwrap()["change"].clone()
    };
    assert_eq!([of("API"), of("Secret"), of("Image")], ["update", "update", "none"]);
    let said = cli.ok("apply -f shop/dispatch.yaml -w shop --wait");
    assert!(said.contains("Updated API: shop\n"), "{said}");
}

#[test]
fn documents_come_from_standard_input_and_from_the_web() {
    let bench = shop();
    let cli = &bench.cli;
    let input = "kind: Application\nname: piped\n";
    let piped = cli.run_with_input("create -f -", input).ok("create -f -");
    assert_eq!(piped, "Created Application: piped\n");
    let address = web(vec![SHOP.to_owned(), example("wasm/echo.wat")]);
    let said = cli.ok(&format!("create -f http://{address}/a/dispatch.yaml --wait"));
    assert!(said.contains("Created Function: shop\n"), "{said}");
    let said = cli.fails(&format!("create -f http://{address}/a/dispatch.yaml"));
    assert!(said.contains("cannot fetch"), "{said}");
}

/// A web server that gives these answers, one a connection, and is gone.
fn web(answers: Vec<String>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for body in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}");
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn files_that_documents_name_are_found_or_the_folder_is_told() {
    let bench = shop();
    let cli = &bench.cli;
    let said = cli.fails("create -f shop/dispatch.yaml");
    assert!(said.contains("dispatch.yaml:9: Function shop"), "{said}");
    assert!(said.contains("hint: it lies beside the documents: add --work-dir shop"), "{said}");
    cli.file("r/requirements.txt", "requests==2\n");
    cli.file("r/key.pem", "a key");
    cli.ok("create base-image b host:wasm --language wasm");
    let image = "kind: Image\nname: i\nbaseImageName: b\nruntimeDependencies:\n  \
                 manifest: '@requirements.txt'\n";
    cli.file("image.yaml", image);
    cli.ok("create -f image.yaml -w r");
    let image = cli.json("get image i");
    assert_eq!(image["runtimeDependencies"]["manifest"], "requests==2\n");
}

#[test]
fn nothing_is_sent_when_one_document_is_wrong() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let right = "kind: Application\nname: a\n---\n";
    for (document, line, part) in [
        ("kind: Funktion\nname: f\n", 4, "did you mean Function?"),
        ("kind: Subscription\nname: s\n", 4, "are not there yet"),
        ("kind: Secret\nname: s\nsecret: {a: b}\n", 6, "did you mean `secrets`?"),
        ("kind: Secret\nname: s\nsecrets:\n  pin: 4711\n", 7, "secrets.pin: invalid type"),
        ("kind: Image\nname: 5\n", 5, "write \"5\""),
        ("name: f\n", 4, "has no kind"),
    ] {
        cli.file("d.yaml", &format!("{right}{document}"));
        for verb in ["create", "apply", "apply --dry-run"] {
            let said = cli.fails(&format!("{verb} -f d.yaml"));
            assert!(said.contains(&format!("d.yaml:{line}: ")), "{line}: {said}");
            assert!(said.contains(part), "{said}");
        }
    }
    cli.file("d.yaml", "kind: Application\n name: a\n");
    assert!(cli.fails("create -f d.yaml").contains("line 2"));
    assert_eq!(cli.json("get applications"), json!([]));
    // What only the server can tell has its line too.
    cli.file("d.yaml", "kind: API\nname: a\nfunction: f\nuris: [no-slash]\n");
    let said = cli.fails("create -f d.yaml");
    assert!(said.contains("d.yaml:4: API a") && said.contains("[Code: 400]"), "{said}");
}

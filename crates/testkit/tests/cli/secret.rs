//! Secrets on the command line: versions, who read them, stores outside, another root key.

use serde_json::json;

use crate::bench::Bench;

#[test]
fn versions_are_shown_and_gone_back_to() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.file("one.json", r#"{"password": "c4n4ry-1"}"#);
    cli.ok("create secret db one.json");
    cli.file("db.yaml", "kind: Secret\nname: db\nsecrets:\n  password: c4n4ry-2\n");
    cli.ok("apply -f db.yaml");
    let versions = cli.ok("get secret db --versions");
    assert!(versions.starts_with(" VERSION  CURRENT  BY"), "{versions}");
    assert_eq!(versions.lines().count(), 3, "{versions}");
    assert!(!versions.contains("c4n4ry"), "{versions}");
    assert_eq!(cli.json("get secret db --versions")[1]["version"], 1);
    let first = cli.json("get secret db --version 1");
    assert_eq!(first["secrets"], json!({"password": "c4n4ry-1"}));
    assert!(cli.ok("get secret db --version 1").contains("<hidden>"));
    assert!(cli.ok("get secret db --version 1 --all").contains("password=c4n4ry-1"));
    let said = cli.ok("rollback secret db --to 1");
    assert_eq!(said, "Secret db is as in version 1: version 3\n");
    assert!(cli.ok("get secret db --all").contains("password=c4n4ry-1"));
    assert!(cli.fails("rollback secret db --to 3").contains("is the version that holds"));
    assert!(cli.fails("rollback secret db --to 77").contains("[Code: 404]"));
    assert!(cli.fails("get secret --versions").contains("required"));

    cli.ok("exec echo --wait --secret db");
    let used = cli.ok("get secret db --used");
    assert!(used.contains(" RUN ") && used.contains("echo"), "{used}");
    assert_eq!(cli.json("get secret db --used")[0]["version"], 3);
}

#[test]
fn a_store_must_be_open_to_the_organization() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let said = cli.fails("create secret db --vault corp --path shop/db --key a=B --cache 30s");
    assert!(said.contains("source.store") && said.contains("it has none"), "{said}");
    let said = cli.fails("create secret db --kubernetes cluster --path db");
    assert!(said.contains("source.store"), "{said}");
    assert!(cli.fails("create secret db --vault corp").contains("--path"));
    assert!(cli.fails("create secret db").contains("--vault"));
    cli.file("one.json", "{}");
    assert!(
        cli.fails("create secret db one.json --vault corp --path x").contains("cannot be used")
    );
}

#[test]
fn the_root_key_is_changed_and_the_old_one_dropped() {
    let bench = Bench::start();
    let cli = &bench.cli;
    cli.file("one.json", r#"{"password": "c4n4ry-1"}"#);
    cli.ok("create secret db one.json");
    let before = cli.json("rotate root-key --status");
    assert_eq!(before["keys"].as_array().unwrap().len(), 1);
    assert!(cli.fails("rotate root-key --drop-old").contains("there is no old root key"));
    let said = cli.ok("rotate root-key");
    assert!(said.contains("rotation: done, "), "{said}");
    assert!(said.starts_with(" KEY") && said.contains(" yes "), "{said}");
    let after = cli.json("rotate root-key --drop-old");
    assert_eq!(after["keys"].as_array().unwrap().len(), 1);
    assert_ne!(after["keys"][0]["id"], before["keys"][0]["id"]);
    assert!(cli.ok("get secret db --all").contains("password=c4n4ry-1"));
}

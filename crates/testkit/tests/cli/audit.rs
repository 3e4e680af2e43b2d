//! `dispatch audit`: listed, exported, verified, and what is said when somebody edited it.

use dispatch_store::Store;

use crate::bench::{Bench, stable};

/// Edits the database beside the server.
fn tamper(bench: &Bench, sql: &'static str) -> u64 {
    let url = format!("sqlite:{}/dispatch.db", bench.data.path().display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url, dispatch_store::Options::default()).await.unwrap();
        let touched = store.tamper(sql).await.unwrap();
        store.close().await;
        touched
    })
}

#[test]
fn the_log_is_listed_with_filters() {
    let bench = Bench::start();
    let cli = &bench.cli;
    cli.ok("create application shop");
    cli.file("db.json", r#"{"password": "hunter2"}"#);
    cli.ok("create secret db db.json");
    cli.ok("get secret db");
    let table = cli.ok("audit list --since 1h");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    for word in ["SEQ", "TIME", "ACTOR", "FROM", "ACTION", "RESOURCE", "NAME", "OUTCOME"] {
        assert!(lines[0].contains(word), "{table}");
    }
    let first = stable(lines[1]);
    let words: Vec<_> = first.split_whitespace().collect();
    let expected = ["3", "TIME", "local-admin", "127.0.0.1", "read", "secret", "db", "allowed"];
    assert_eq!(words, expected);
    assert!(!table.contains("hunter2"));
    assert!(cli.ok("audit list -o wide --name db --action create").contains("values of password"));
    let one = cli.json("audit list --resource application");
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(one[0]["after"]["spec"], serde_json::json!({}));
    assert!(cli.ok("audit list --limit 1 -o yaml").contains("action: read"));
    assert_eq!(cli.ok("audit list --outcome refused").lines().count(), 1);
    assert!(cli.fails("audit list --outcome maybe").contains("allowed, refused"));
    assert!(cli.fails("audit list --since soon").contains("must be how long ago"));
}

#[test]
fn an_export_can_be_verified_without_the_server() {
    let bench = Bench::start();
    let cli = &bench.cli;
    for name in ["a", "b", "c"] {
        cli.ok(&format!("create application {name}"));
    }
    let lines = cli.ok("audit export --all-organizations");
    assert_eq!(lines.lines().count(), 3);
    cli.file("audit.jsonl", &lines);
    let whole = cli.ok("audit verify --file audit.jsonl");
    assert!(whole.starts_with("The export is whole: 3 entries, the last is\n3:"), "{whole}");
    cli.file("edited.jsonl", &lines.replace("\"name\":\"b\"", "\"name\":\"x\""));
    let error = cli.fails("audit verify --file edited.jsonl");
    assert!(error.contains("entry 2 was changed"), "{error}");
    assert!(cli.fails("audit verify --file nothing").contains("hint: dispatch audit export"));
    let events = cli.ok("audit export --format cloudevents");
    let events: serde_json::Value = serde_json::from_str(&events).unwrap();
    assert_eq!(events[2]["type"], "io.dispatchframework.audit.application.create");
}

#[test]
fn verify_names_the_first_entry_that_is_wrong() {
    let bench = Bench::start();
    let cli = &bench.cli;
    for name in ["a", "b", "c"] {
        cli.ok(&format!("create application {name}"));
    }
    let whole = cli.ok("audit verify");
    assert!(whole.starts_with("The audit log is whole: 3 entries, the last is\n3:"), "{whole}");
    let kept = whole.lines().nth(1).unwrap();
    cli.ok(&format!("audit verify --expect {kept}"));
    assert_eq!(cli.json("audit verify")["right"], true);
    assert_eq!(tamper(&bench, "DELETE FROM audit WHERE seq = 2"), 1);
    let error = cli.fails("audit verify");
    assert!(error.contains("the audit log is broken: entry 2 is missing"), "{error}");
    assert!(error.contains("(1 entry before it right)") && error.contains("hint: "), "{error}");
    let structured = cli.run("audit verify -o json");
    assert_eq!(structured.status.code(), Some(1));
    let verdict: serde_json::Value = serde_json::from_str(&structured.stdout).unwrap();
    assert_eq!(verdict["broken"]["seq"], 2);
}

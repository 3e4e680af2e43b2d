//! The configuration file in both its forms, contexts, and the environment.

use dispatch_testkit::Cli;
use serde_json::json;

use crate::bench::Bench;

/// Host and port of the server.
fn address(bench: &Bench) -> (String, u16) {
    let (host, port) = bench.server.api.trim_start_matches("http://").split_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

#[test]
fn the_file_tells_the_server_in_both_forms() {
    let bench = Bench::start();
    let (host, port) = address(&bench);
    let cli = Cli::new();
    let flat = json!({"host": host, "port": port, "organization": "dispatch", "cookie": "unset",
                      "insecure": false, "Json": true});
    cli.file(".dispatch/config.json", &flat.to_string());
    assert_eq!(cli.ok("get functions"), "[]\n", "Json is of v1 too");
    assert!(cli.ok("get functions -o table").starts_with(" NAME"));
    let context = json!({"host": host, "port": port, "scheme": "http", "organization": "dispatch",
                         "namespace": "dispatch", "api-https-port": 443, "api-http-port": 80});
    let nowhere = json!({"host": "127.0.0.1", "port": 1, "scheme": "http"});
    let contexts = json!({"current": "here", "contexts": {"here": context, "there": nowhere}});
    cli.file(".dispatch/config.json", &contexts.to_string());
    assert_eq!(cli.json("get functions"), json!([]));
    let elsewhere = cli.file("elsewhere.json", &contexts.to_string());
    cli.file(".dispatch/config.json", "{}");
    let line = format!("get functions --config {}", elsewhere.display());
    assert_eq!(cli.json(&line), json!([]));
    let cli = cli.with("DISPATCH_CONFIG", &elsewhere.display().to_string());
    assert_eq!(cli.json("get functions"), json!([]));
    cli.file("elsewhere.json", "{broken");
    let said = cli.fails("get functions");
    assert!(said.contains("elsewhere.json is not the JSON") && said.contains("hint: "), "{said}");
}

#[test]
fn contexts_are_shown_chosen_and_deleted() {
    let cli = Cli::new();
    assert_eq!(cli.ok("context current"), "(none)\n");
    assert!(cli.fails("context set a").contains("holds none"));
    let two = json!({"current": "a", "contexts": {"a": {"host": "a.example", "cookie": "s3cret"},
                                                   "b": {"host": "b.example"}}});
    cli.file(".dispatch/config.json", &two.to_string());
    let shown = cli.ok("context");
    assert!(shown.contains("a.example") && !shown.contains("s3cret"), "{shown}");
    assert_eq!(cli.ok("context current"), "a\n");
    assert_eq!(cli.ok("context set b"), "Set context to b\n");
    assert_eq!(cli.ok("manage context current"), "b\n");
    assert_eq!(cli.ok("manage context --set a"), "Set context to a\n");
    assert!(cli.fails("context set bb").contains("did you mean b?"));
    assert_eq!(cli.ok("context delete a"), "Deleted context: a\n");
    assert_eq!(cli.json("manage context")["current"], json!(null));
    assert!(cli.fails("context delete a").contains("there are: b"));
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let bench = Bench::start();
    let (host, port) = address(&bench);
    let nowhere = json!({"current": "x", "contexts": {"x": {"host": "127.0.0.1", "port": 1,
                                                            "scheme": "http"}}});
    let cli = Cli::new();
    cli.file(".dispatch/config.json", &nowhere.to_string());
    assert!(cli.fails("get images").contains("http://127.0.0.1:1:"));
    let cli = cli.with("DISPATCH_PORT", &port.to_string()).with("DISPATCH_HOST", &host);
    assert_eq!(cli.json("get images"), json!([]));
    assert!(cli.fails("get images --port 2").contains("http://127.0.0.1:2:"));
    let wrong = Cli::new().with("DISPATCH_PORT", "many");
    assert!(wrong.fails("get images").contains("invalid value 'many' for '--port <PORT>'"));
    let cli = cli.with("DISPATCH_SCHEME", "https");
    assert!(cli.fails("get images").contains("hint: the server speaks plain http there"));
    assert_eq!(cli.json("get images --scheme http"), json!([]));
    let cli = cli.with("DISPATCH_SCHEME", "http").with("DISPATCH_OUTPUT", "json");
    assert_eq!(cli.ok("get images"), "[]\n");
    let cli = cli.with("DISPATCH_OUTPUT", "").with("DISPATCH_JSON", "true");
    assert_eq!(cli.ok("get images"), "[]\n");
    cli.ok("iam create organization acme");
    let cli = cli.with("DISPATCH_ORGANIZATION", "acme");
    cli.ok("create application of-acme");
    assert_eq!(cli.json("get applications")[0]["organization"], "acme");
    assert_eq!(cli.json("get applications --organization dispatch"), json!([]));
}

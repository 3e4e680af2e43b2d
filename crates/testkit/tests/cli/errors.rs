//! What somebody is told who guessed wrong: the field, the value and the fix.

use dispatch_testkit::Cli;

use crate::bench::{Bench, stable};

#[test]
fn wrong_words_and_values() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    let mut all = String::new();
    for line in [
        "get fuction",
        "get function nothing",
        "get functions --limit 0",
        "get functions --sort colour",
        "delete fnction echo",
        "delete",
        "create",
        "create -f nothing.yaml",
        "create function f nothing.py --image wasm",
        "create secret s nothing.json",
        "create api a echo -p /a --auth magic",
        "create api a echo -p no-slash",
        "create function f echo.wat --image wasm --env NOVALUE",
        "create function f echo.wat --image wasm --timeout soon",
        "create function bad.name echo.wat --image wasm",
        "exec",
        "exec echo --wait --input '{name: Ada}'",
        "explain API999",
        "get functions --port many",
    ] {
        all += &format!("$ dispatch {line}\n{}\n", stable(&cli.fails(line)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn words_of_v1_that_are_not_there_yet() {
    let cli = Cli::new();
    for line in [
        "emit order.created --data '{}'",
        "create subscription f --event-type t",
        "create eventdriver vcenter -s a=b",
        "create event-driver-types t image --expose",
        "create serviceinstance i class plan",
        "get subscriptions",
        "get event-drivers x",
        "get eventdrivertypes",
        "get serviceclass",
        "get serviceinstances",
        "delete subscription s",
        "delete serviceinstance i",
        "install -f config.yaml",
    ] {
        let said = cli.fails(line);
        let sentence = said.lines().next().unwrap();
        assert!(sentence.starts_with("Error: ") && sentence.contains("version"), "{line}: {said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

#[test]
fn no_server_or_not_this_one() {
    let bench = Bench::start();
    let cli = Cli::new();
    let port = |url: &str| url.rsplit_once(':').unwrap().1.to_owned();
    let api = port(&bench.server.api);
    let tls = port(bench.server.ready["gatewayHttps"].as_str().unwrap());
    for (line, error, hint) in [
        ("--port 1".to_owned(), "Connection refused", "dispatch-server run"),
        (
            "--host nothing.invalid".to_owned(),
            "no answer from https://nothing.invalid:443",
            "--host",
        ),
        (format!("--port {api} --scheme https"), "no answer", "--scheme http"),
        (format!("--port {tls}"), "no answer", "--scheme https"),
        (format!("--port {tls} --scheme https"), "UnknownIssuer", "SSL_CERT_FILE"),
        (format!("--port {}", port(&bench.server.gateway)), "[Code: 404]", "no answer of Dispatch"),
        ("--scheme ftp".to_owned(), "neither http nor https", "--scheme http"),
        ("--host http://127.0.0.1:8080".to_owned(), "alone", "--host 127.0.0.1 --port 8080"),
    ] {
        let said = cli.fails(&format!("get functions {line}"));
        let (told, fix) = said.split_once("hint: ").unwrap_or_else(|| panic!("no hint: {said}"));
        assert!(told.contains(error) && fix.contains(hint), "{line}: {said}");
    }
    // As the hint says, its certificate can be trusted; behind it is the gateway.
    let certificate = bench.data.path().join("gateway/tls.crt");
    let trusting = Cli::new().with("SSL_CERT_FILE", &certificate.display().to_string());
    for line in
        [format!("--port {tls} --scheme https"), format!("--port {tls} --scheme https --insecure")]
    {
        let cli = if line.ends_with("insecure") { &cli } else { &trusting };
        assert!(cli.fails(&format!("get functions {line}")).contains("[Code: 404]"));
    }
}

#[test]
fn a_function_that_is_not_ready() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.ok("create function late echo.wat --image nothing");
    bench.until("get function late", "ERROR");
    let said = cli.fails("exec late --wait");
    assert!(said.contains("[Code: 404] function late is not READY: it is ERROR"), "{said}");
    assert!(said.contains("image nothing does not exist") && said.contains("hint: "), "{said}");
    cli.file("bad.wat", "(component");
    let said = cli.fails("create function bad bad.wat --image wasm --wait");
    assert!(said.contains("function bad is in ERROR: ") && said.contains("hint: "), "{said}");
}

//! `exec`, `get run`, `log`, `get deadletters` and `replay`.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::bench::{Bench, example};

fn run(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_run_is_printed_as_json_whatever_comes() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    let accepted = run(&cli.ok("exec echo"));
    assert_eq!(accepted["status"], "INITIALIZED");
    assert_eq!(accepted["functionName"], "echo");
    let finished = run(&cli.ok(r#"exec echo --wait --all --input '{"a": [1, "ü"]}'"#));
    assert_eq!(finished["status"], "READY");
    assert!(finished["output"].to_string().contains("ü"), "{finished}");
    cli.file("input.json", r#"{"from": "a file"}"#);
    let output = cli.ok("exec echo --wait --result --input-file input.json");
    assert!(output.contains("a file") && !output.contains("functionName"), "{output}");
    let yaml = cli.ok("exec echo --wait -o yaml");
    assert!(yaml.contains("status: READY"), "{yaml}");
    let tagged = run(&cli.ok("exec echo --wait -a shop"));
    assert_eq!(tagged["tags"], json!([{"key": "Application", "value": "shop"}]));
    assert_eq!(cli.json("get runs -a shop").as_array().unwrap().len(), 1);
    // A failed run was run: exit code 0, and the error tells.
    cli.file("in.json", r#"{"required": ["name"]}"#);
    cli.ok("create function strict echo.wat --image wasm --schema-in in.json --wait");
    let refused = run(&cli.ok("exec strict --wait"));
    assert_eq!(refused["error"]["type"], "InputError", "{refused}");
    let said = cli.fails("exec echo --wait --input '{name: Ada}'");
    assert!(said.contains("--input is not JSON") && said.contains("hint: "), "{said}");
    assert!(cli.fails("exec nothing --wait").contains("[Code: 404]"));
}

#[test]
fn secrets_reach_the_run_that_names_them() {
    let Some(bench) = Bench::with_python() else { return };
    let cli = &bench.cli;
    cli.file("secret.py", &example("python3/secret.py"));
    cli.file("open.json", r#"{"password": "OpenSesame"}"#);
    cli.ok("create secret open-sesame open.json");
    cli.ok("create function vault secret.py --image python3 --handler secret.handle --wait");
    let without = cli.ok("exec vault --wait --result");
    let with = cli.ok("exec vault --wait --result --secret open-sesame");
    assert!(with.contains("10") && with != without, "{with}");
    let said = cli.ok("exec vault --wait --secret nothing");
    assert!(said.contains("nothing"), "{said}");
}

#[test]
fn runs_are_listed_followed_and_shown() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    assert!(cli.fails("get run --last").contains("there is no such run yet"));
    let first = run(&cli.ok("exec echo --wait"));
    let second = run(&cli.ok("exec hello --wait"));
    let id = |run: &Value| run["name"].as_str().unwrap().to_owned();
    let names = |line: &str| cli.ok(&format!("{line} -o name"));
    bench.until("get runs -o name", &id(&second));
    assert_eq!(names("get runs"), format!("{}\n{}\n", id(&first), id(&second)));
    assert_eq!(names("get run echo"), format!("{}\n", id(&first)));
    assert_eq!(cli.json("get run --last")["name"], second["name"]);
    assert_eq!(cli.json("get run echo --last")["name"], first["name"]);
    assert_eq!(cli.json(&format!("get run echo {}", id(&first)))["status"], "READY");
    assert!(cli.fails(&format!("get run hello {}", id(&first))).contains("[Code: 404]"));
    assert_eq!(names("get runs --since 1h").lines().count(), 2);
    assert_eq!(names("get runs --since 2100-01-01T00:00:00Z"), "");
    assert_eq!(names("get runs --status ERROR"), "");
    assert_eq!(names("get runs --limit 1"), format!("{}\n", id(&second)));
    assert!(cli.fails("get runs --since yesterday").contains("10m"));
    // What follows is told of runs that are made while it follows.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                cli.ok("exec hello");
                cli.ok("exec echo --wait");
            }
        });
        let mut lines = Vec::new();
        cli.follow("get run echo -f", |line| {
            lines.push(line.to_owned());
            line.contains("READY")
        });
        done.store(true, Ordering::Relaxed);
        assert!(lines.iter().all(|line| line.contains("echo")), "{lines:?}");
    });
}

#[test]
fn what_runs_printed_is_shown() {
    let Some(bench) = Bench::with_python() else { return };
    let cli = &bench.cli;
    let code = "import sys\ndef handle(c, p):\n    print('out', p['n'])\n    \
                print('err', file=sys.stderr)\n";
    cli.file("logs.py", code);
    cli.ok("create function logs logs.py --image python3 --handler logs.handle --wait");
    let mut id = String::new();
    for n in [1, 2] {
        let line = format!("exec logs --wait --logs --input '{{\"n\": {n}}}'");
        let outcome = cli.run(&line);
        assert!(outcome.stderr.contains(&format!("out {n}\n")), "{outcome:?}");
        id = run(&outcome.ok(&line))["name"].as_str().unwrap().to_owned();
    }
    bench.until("log function logs", "out 2");
    let all = cli.ok("log function logs");
    assert!(all.contains("  out 1\n") && all.contains("! err\n"), "{all}");
    assert!(!cli.ok("log function logs -t 1").contains("out 1"));
    let one = cli.ok(&format!("log run {id}"));
    assert_eq!(one, format!("{id}  out 2\n{id}! err\n"));
    // What takes longer than two seconds says so.
    cli.file("slow.py", "import time\ndef handle(c, p):\n    time.sleep(2.5)\n");
    cli.ok("create function slow slow.py --image python3 --handler slow.handle --wait");
    let line = "exec slow --wait";
    let outcome = cli.run(line);
    assert_eq!(outcome.stderr, "slow is running (2 s)\n");
    assert_eq!(run(&outcome.ok(line))["status"], "READY");
    let said = cli.fails("log function-manager");
    assert!(said.contains("dispatch log function NAME"), "{said}");
}

#[test]
fn what_failed_for_good_is_replayed() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.file("in.json", r#"{"required": ["name"]}"#);
    cli.ok("create function strict echo.wat --image wasm --schema-in in.json --wait");
    let failed = run(&cli.ok("exec strict"));
    let id = failed["name"].as_str().unwrap();
    bench.until("get deadletters -o name", id);
    assert_eq!(cli.json(&format!("get deadletter {id}"))["error"]["type"], "InputError");
    let again = run(&cli.ok(&format!("replay {id}")));
    assert_eq!(again["functionName"], "strict");
    assert!(cli.fails("replay 01a21054-4607-7016-bd1f-30a0fe4bcec5").contains("[Code: 404]"));
}

//! Versions: which there are, which take calls, their names; and where the next call would go.

use serde_json::json;

use crate::bench::{Bench, example};

/// A function with two versions: `echo`, then `hello`.
fn two_versions() -> Bench {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    for (number, source) in [(1, "echo"), (2, "hello")] {
        let document = format!("kind: Function\nname: f\nimage: wasm\nsourcePath: {source}.wat\n");
        cli.file("f.yaml", &document);
        cli.ok("apply -f f.yaml --wait");
        assert_eq!(cli.json("get function f")["version"], number);
    }
    bench
}

#[test]
fn versions_are_rolled_out_promoted_and_taken_back() {
    let bench = two_versions();
    let cli = &bench.cli;
    let all = |version: u64| format!("Version {version} of f takes all calls that name none\n");
    assert_eq!(
        cli.ok("rollout f --to 1 --percent 30 --wait"),
        "Version 1 of f takes 30 % of the calls, 2 the rest\n"
    );
    let table = cli.ok("get versions f");
    assert!(table.contains("70 %") && table.contains("30 %"), "{table}");
    assert_eq!(cli.ok("promote f --wait"), all(1));
    assert!(cli.fails("promote f").contains("has no canary to promote"));
    assert_eq!(cli.ok("undo f --wait"), all(2));
    assert!(cli.ok("rollout f --to 1").contains("--wait waits for it"));
    assert_eq!(cli.json("rollout f --to 2 --wait")["version"], 2);
    assert!(cli.fails("rollout f --to 9").contains("[Code: 404] function version f:9 not found"));
    let error = cli.fails("rollout f");
    assert!(error.contains("<--to <VERSION>|--remove-alias <ALIAS>>"), "{error}");
    for wrong in ["--to 1", "--alias blue", "--percent 3"] {
        let error = cli.fails(&format!("rollout f --remove-alias blue {wrong}"));
        assert!(error.contains("cannot be used with"), "{error}");
    }
    assert!(cli.fails("rollout f --to 1 --percent 101").contains("101 is not in 1..=100"));
    assert!(cli.fails("undo nothing").contains("[Code: 404] function nothing not found"));
}

#[test]
fn a_version_has_the_name_it_is_given() {
    let bench = two_versions();
    let cli = &bench.cli;
    let echoed = |line: &str| cli.ok(line).contains("Ada");
    let named = "exec f:blue --wait --result --input '{\"a\": \"Ada\"}'";
    assert!(cli.fails(named).contains("[Code: 404] function version f:blue not found"));
    assert_eq!(cli.ok("rollout f --to 1 --alias blue --wait"), "Version 1 of f is f:blue\n");
    assert!(echoed(named));
    assert_eq!(cli.json("get run f --last")["qualifier"], "blue");
    let table = cli.ok("get run f --last");
    assert!(table.contains("VERSION") && table.contains(" wasm "), "{table}");
    assert!(cli.ok("get versions f").contains("blue"));
    let gone = cli.ok("rollout f --remove-alias blue --wait");
    assert_eq!(gone, "No version of f is f:blue any more\n");
    assert!(!cli.ok("get versions f").contains("blue"));
    assert!(cli.fails("rollout f --to 1 --alias 7").contains("alias"));
}

#[test]
fn an_alias_whose_new_version_cannot_be_made_stays_and_the_command_says_why() {
    let bench = two_versions();
    let cli = &bench.cli;
    for (version, source) in [(3, "echo"), (4, "hello")] {
        let document = format!("kind: Function\nname: f\nimage: wasm\nsourcePath: {source}.wat\n");
        cli.file("f.yaml", &document);
        cli.ok("apply -f f.yaml --wait");
        cli.ok(&format!("rollout f --to {version} --alias blue --wait"));
    }
    cli.ok("rollout f --to 2 --alias blue --wait");
    cli.file(
        "policy.yaml",
        "kind: ImagePolicy\nname: strict\nrules:\n- name: none\n  effect: deny\n  match:\n    \
         baseImage: host:*\n",
    );
    cli.ok("apply -f policy.yaml");
    bench.until("get image wasm", "ERROR");
    let error = cli.fails("rollout f --to 1 --alias blue --wait");
    for said in
        ["is denied by the rule", "version 4 goes on serving", "alias blue stays with version 2"]
    {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert_eq!(cli.json("get function f")["aliases"]["blue"], 2);
}

#[test]
fn where_the_next_call_goes_is_explained() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.file("far.wat", &example("wasm/echo.wat"));
    let explained = cli.ok("get placement echo --explain");
    assert!(explained.starts_with("Version 1 (100 % of the calls): the next call goes to wasm\n"));
    assert!(explained.contains(" process ") && explained.contains(" unfit "), "{explained}");
    let report = cli.json("get placement echo --explain");
    assert_eq!(report["versions"][0]["version"], json!(1), "{report}");
    let nowhere = cli.ok("create function far far.wat --image wasm --require gpu=a100");
    assert_eq!(nowhere, "Created function: far\n");
    let reason = bench.until("get function far", "ERROR");
    let said = reason.lines().find(|line| line.starts_with("reason: ENGINE001: "));
    assert!(said.is_some_and(|line| line.contains("gpu")), "{reason}");
    assert!(!cli.ok("get function far -o wide").contains("reason: "), "it is a column there");
}

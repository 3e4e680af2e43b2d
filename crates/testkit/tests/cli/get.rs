//! `get` and `delete` of every type: names of types, tables, formats, filters, watches.

use serde_json::{Value, json};

use crate::bench::{Bench, stable};

#[test]
fn every_type_in_every_spelling() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.file("s.json", "{}");
    cli.ok("create secret s s.json");
    cli.ok("create api a echo -p /a");
    cli.ok("create application app");
    for (kind, spellings, name) in [
        ("API", "api apis", "a"),
        ("Application", "application applications app apps", "app"),
        ("BaseImage", "base-image base-images baseimage baseimages", "wasm-base"),
        ("Image", "image images", "wasm"),
        ("Function", "function functions", "echo"),
        ("Secret", "secret secrets", "s"),
    ] {
        for spelling in spellings.split(' ') {
            let list = cli.json(&format!("get {spelling}"));
            assert!(list.as_array().unwrap().iter().any(|one| one["name"] == name), "{list}");
            let one = cli.json(&format!("get {spelling} {name}"));
            assert_eq!((&one["name"], &one["kind"]), (&json!(name), &json!(kind)), "{one}");
            let table = cli.ok(&format!("get {spelling}"));
            assert!(table.starts_with(" NAME") || table.starts_with(" ID"), "{table}");
            assert!(cli.fails(&format!("get {spelling} nothing")).contains("[Code: 404]"));
            assert!(cli.fails(&format!("delete {spelling} nothing")).contains("[Code: 404]"));
        }
    }
    assert_eq!(cli.ok("delete api a"), "Deleted api: a\n");
    assert_eq!(cli.ok("delete secrets s"), "Deleted secret: s\n");
    assert_eq!(cli.ok("delete app app"), "Deleted application: app\n");
    assert_eq!(cli.ok("delete function echo"), "Deleted function: echo\n");
    assert_eq!(cli.ok("delete images wasm"), "Deleted image: wasm\n");
    assert_eq!(cli.ok("delete baseimage wasm-base"), "Deleted base image: wasm-base\n");
}

#[test]
fn tables_of_every_type() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.file("s.json", r#"{"user": "Ada", "password": "OpenSesame"}"#);
    cli.ok("create secret s s.json");
    cli.ok("create api a echo -m GET -m POST -p /a -d a.example.org --wait");
    cli.ok("create application app");
    let mut all = String::new();
    for line in [
        "get base-images",
        "get images",
        "get images -o wide",
        "get functions",
        "get functions -o wide",
        "get secrets",
        "get secret s",
        "get secret s --all",
        "get secrets --all",
        "get apis",
        "get applications",
        "iam get organizations",
        "iam get policies",
        "iam get serviceaccounts",
        "get runs",
        "get deadletters",
    ] {
        all += &format!("$ dispatch {line}\n{}\n", stable(&cli.ok(line)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn formats() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    assert_eq!(cli.ok("get functions -o name"), "echo\nhello\n");
    let json = cli.ok("get function echo -o json");
    assert_eq!(cli.ok("get function echo --json"), json);
    assert_eq!(cli.ok("--output json get function echo"), json);
    let object: Value = serde_json::from_str(&json).unwrap();
    assert!(object.is_object());
    let yaml = cli.ok("get function echo -o yaml");
    assert!(yaml.contains("name: echo\n") && yaml.contains("kind: Function\n"), "{yaml}");
    assert!(cli.ok("get functions -o yaml").starts_with("- "));
    assert!(cli.fails("get functions -o csv").contains("json, yaml"));
    // What `get -o yaml` prints can be sent back.
    cli.file("echo.yaml", &yaml);
    assert_eq!(cli.ok("update -f echo.yaml"), "Updated Function: echo\n");
}

#[test]
fn lists_are_selected_sorted_and_cut() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    for (name, application) in [("b", "-a shop"), ("c", "-a shop"), ("a", "")] {
        cli.ok(&format!("create function {name} echo.wat --image wasm {application}"));
    }
    cli.ok("create api route b -p /b");
    cli.ok("create api other c -p /c");
    let names = |line: &str| cli.ok(&format!("{line} -o name")).replace('\n', " ");
    assert_eq!(names("get functions --application shop"), "b c ");
    assert_eq!(names("get functions --tag Application=shop --sort -name"), "c b ");
    assert_eq!(names("get functions --sort -name --limit 2"), "hello echo ");
    assert_eq!(names("get functions --sort created --limit 1"), "echo ");
    assert_eq!(names("get functions --field image=wasm --field engine=wasm --limit 1"), "a ");
    assert_eq!(names("get functions --field image=other"), "");
    assert_eq!(names("get api -f b"), "route ");
    assert_eq!(names("get apis --func c"), "other ");
    assert!(cli.fails("get functions --limit 0").contains("leave --limit out"));
    assert!(cli.fails("get functions --sort colour").contains("none of name, created"));
    assert!(cli.fails("get functions --field colour=red").contains("colour: is no parameter"));
    assert!(cli.fails("get functions --tag shop").contains("KEY=VALUE"));
}

#[test]
fn lists_are_watched() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    let mut made = false;
    cli.follow("get functions --watch", |line| {
        if !made {
            cli.ok("create function new echo.wat --image wasm");
            made = true;
        }
        line.contains("new") && line.contains("READY")
    });
}

#[test]
fn what_is_used_can_be_protected_and_runs_kept() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    cli.ok("create api a echo -p /a");
    let said = cli.fails("delete function echo --protect");
    assert!(said.contains("[Code: 409]") && said.contains("api a"), "{said}");
    let run = cli.json("exec echo --wait");
    let line = "delete function echo --keep-runs";
    let outcome = cli.run(line);
    assert!(outcome.stderr.contains("warning: function echo is used by api a"), "{outcome:?}");
    assert_eq!(outcome.ok(line), "Deleted function: echo\n");
    let id = run["name"].as_str().unwrap();
    assert_eq!(cli.json(&format!("get run echo {id}"))["status"], "READY");
    let run = cli.json("exec hello --wait");
    cli.ok("delete function hello");
    let id = run["name"].as_str().unwrap();
    let began = std::time::Instant::now();
    while cli.run(&format!("get run hello {id}")).status.success() {
        assert!(began.elapsed() < crate::bench::PATIENCE, "the run stays");
    }
}

#[test]
fn a_resource_is_edited_in_an_editor() {
    let bench = Bench::with_functions();
    let edit = "sed -i 's/^image: .*/timeout: 1234\\nimage: wasm/'";
    let cli = bench.cli.with("EDITOR", edit);
    assert_eq!(cli.ok("edit function echo"), "Updated function: echo\n");
    assert_eq!(cli.json("get function echo")["timeout"], 1_234);
    let cli = cli.with("EDITOR", "true");
    assert_eq!(cli.ok("edit function echo"), "Nothing was changed\n");
    let cli = cli.with("EDITOR", "false");
    assert!(cli.fails("edit function echo").contains("nothing was changed"));
}

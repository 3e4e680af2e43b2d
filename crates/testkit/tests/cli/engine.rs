//! Engines: shown, labelled, taken out of service; types of engines; what is refused.

use serde_json::json;

use crate::bench::Bench;

#[test]
fn engines_are_shown_labelled_and_taken_out_of_service() {
    let bench = Bench::start();
    let cli = &bench.cli;
    bench.until("get engine wasm -o json", "\"healthy\": true");
    let table = cli.ok("get engines");
    let title: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    let titles = "NAME TYPE HEALTH LABELS IN FLIGHT COST STATE LANGUAGES";
    assert_eq!(title.join(" "), titles);
    assert!(table.contains(" process ") && table.contains(" wasm "), "{table}");
    let of_type = cli.ok("get engines --type wasm");
    assert!(of_type.contains(" wasm ") && !of_type.contains(" process "), "{of_type}");

    cli.file(
        "wasm.yaml",
        "kind: Engine\nname: wasm\ntype: wasm\nlabels: {region: eu, gpu: true}\ncost: 7\n\
         maxConcurrency: 100\n",
    );
    assert_eq!(cli.ok("apply -f wasm.yaml"), "Updated Engine: wasm\n");
    bench.until("get engine wasm", "READY");
    let table = cli.ok("get engine wasm");
    assert!(table.contains("gpu=true, region=eu") && table.contains("0/100"), "{table}");
    let engine = cli.json("get engine wasm");
    assert_eq!((&engine["kind"], &engine["cost"]), (&json!("Engine"), &json!(7)));

    assert_eq!(cli.ok("cordon engine wasm"), "Cordoned engine: wasm\n");
    bench.until("get engine wasm", "cordoned");
    assert_eq!(cli.ok("uncordon engine wasm"), "Uncordoned engine: wasm\n");
    assert_eq!(cli.ok("drain engine wasm"), "Draining engine: wasm\n");
    bench.until("get engine wasm", "draining");
    assert_eq!(cli.ok("drain engine wasm --undo"), "Not draining engine: wasm\n");
    bench.until("get engine wasm", "READY");
    assert!(cli.fails("cordon engine nothing").contains("[Code: 404] engine nothing not found"));
    assert!(cli.fails("cordon function f").contains("invalid value 'function'"));
}

#[test]
fn types_say_what_may_be_set() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let types = cli.ok("get engine-types");
    assert!(types.starts_with(" TYPE") && types.contains("each in a sandbox"), "{types}");
    let names = cli.ok("get engine-type -o name");
    assert!(names.lines().any(|name| name == "wasm"), "{names}");
    assert!(cli.ok("get engine-type wasm").contains("in the server's configuration"));
    assert_eq!(cli.json("get enginetype process")["embedded"], true);
    let error = cli.fails("get engine-type nothing");
    assert!(error.contains("engine type nothing not found; types are: "), "{error}");
    for name in names.lines() {
        let known = cli.json(&format!("get engine-type {name}"));
        let shown = cli.ok(&format!("get engine-type {name}"));
        for setting in known["settings"].as_array().unwrap() {
            assert!(shown.contains(setting["name"].as_str().unwrap()), "{shown}");
        }
    }
}

#[test]
fn what_cannot_be_an_engine_is_refused() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let error = cli.fails("create engine x --type wasm");
    assert!(error.contains("type: \"wasm\" is a part of the server"), "{error}");
    let error = cli.fails("create engine x --type wsam");
    assert!(error.contains("\"wsam\" is no type of engines this server knows"), "{error}");
    assert!(cli.fails("create engine x").contains("--type"));
    assert!(cli.fails("create engine x --type t --label region").contains("KEY=VALUE"));
    let error = cli.fails("delete engine wasm");
    assert!(error.contains("cordon it instead: dispatch cordon engine wasm"), "{error}");
    cli.file("wrong.yaml", "kind: Engine\nname: x\ntype: t\nsetings: {}\n");
    let error = cli.fails("create -f wrong.yaml");
    assert!(
        error.contains("wrong.yaml:4") && error.contains("did you mean `settings`?"),
        "{error}"
    );
    cli.file("wrong.yaml", "kind: Engine\nname: wasm\ntype: wasm\nsettings: {cache: big}\n");
    let error = cli.fails("update -f wrong.yaml");
    assert!(error.contains("settings.cache: engine wasm is a part of the server"), "{error}");
}

//! `create` one by one, with every flag, and what the server then has.

use serde_json::json;

use crate::bench::{Bench, example};

#[test]
fn base_images_and_images_with_all_their_flags() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let made = "Created base image: b\n";
    assert_eq!(cli.ok("create base-image b host:wasm --language wasm --wait"), made);
    assert_eq!(
        cli.ok("create base-images b2 host:wasm --language wasm -a shop"),
        "Created base image: b2\n"
    );
    cli.file("packages.json", r#"{"packages": [{"name": "curl", "version": "8"}]}"#);
    cli.file("packages.txt", "# what the system needs\ncurl 8.1\n\nimagemagick\n");
    cli.file("requirements.txt", "requests==2\n");
    let image = "create image i b --system-deps packages.json --runtime-deps requirements.txt";
    assert_eq!(cli.ok(image), "Created image: i\n");
    let image = cli.json("get image i");
    assert_eq!(image["baseImageName"], "b");
    assert_eq!(image["runtimeDependencies"]["manifest"], "requests==2\n");
    let curl = json!([{"name": "curl", "version": "8"}]);
    assert_eq!(image["systemDependencies"]["packages"], curl);
    cli.ok("create image j b --system-deps packages.txt");
    let packages = &cli.json("get image j")["systemDependencies"]["packages"];
    assert_eq!(packages[0], json!({"name": "curl", "version": "8.1"}));
    assert_eq!(packages[1]["name"], "imagemagick");
    let tags = &cli.json("get base-image b2")["tags"];
    assert_eq!(*tags, json!([{"key": "Application", "value": "shop"}]));
}

#[test]
fn functions_with_all_their_flags() {
    let bench = Bench::start();
    let cli = &bench.cli;
    bench.image();
    cli.file("secret.json", r#"{"password": "OpenSesame"}"#);
    assert_eq!(cli.ok("create secret open-sesame secret.json"), "Created secret: open-sesame\n");
    cli.file("code/echo.wat", &example("wasm/echo.wat"));
    cli.file("in.json", r#"{"type": "object"}"#);
    cli.file("out.json", r#"{"type": ["object", "null"]}"#);
    let line = "create function f code --image wasm --handler echo --schema-in in.json \
                --schema-out out.json --secret open-sesame --timeout 5000 --memory 64 \
                --concurrency 3 --env COLOUR=blue --env A=b=c --retries 2 --egress example.org \
                --engine wasm -a shop --wait";
    assert_eq!(cli.ok(line), "Created function: f\n");
    let function = cli.json("get function f");
    for (field, value) in [
        ("kind", json!("Function")),
        ("image", json!("wasm")),
        ("handler", json!("echo")),
        ("schema", json!({"in": {"type": "object"}, "out": {"type": ["object", "null"]}})),
        ("secrets", json!(["open-sesame"])),
        ("timeout", json!(5_000)),
        ("memoryMib", json!(64)),
        ("concurrency", json!(3)),
        ("environment", json!({"COLOUR": "blue", "A": "b=c"})),
        ("retries", json!(2)),
        ("egress", json!(["example.org"])),
        ("engine", json!("wasm")),
        ("tags", json!([{"key": "Application", "value": "shop"}])),
        ("status", json!("READY")),
    ] {
        assert_eq!(function[field], value, "{field}: {function}");
    }
    // A folder needs a handler, one file does not.
    let said = cli.fails("create function g code --image wasm");
    assert!(said.contains("--handler is needed: code is a folder"), "{said}");
    cli.ok("create function g code/echo.wat --image wasm --wait");
}

#[tokio::test]
async fn apis_with_all_their_flags() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    assert_eq!(cli.ok("create api plain echo --wait"), "Created api: plain\n");
    let plain = cli.json("get api plain");
    assert_eq!((&plain["methods"], &plain["uris"]), (&json!(["GET"]), &json!(["/"])));
    assert_eq!(plain["protocols"], json!(["http", "https"]));
    let line = "create api full echo -m GET -m POST -p /a -p /b -d api.example.org --https-only \
                --cors --disable --auth public -a shop";
    cli.ok(line);
    let full = cli.json("get api full");
    for (field, value) in [
        ("function", json!("echo")),
        ("methods", json!(["GET", "POST"])),
        ("uris", json!(["/a", "/b"])),
        ("hosts", json!(["api.example.org"])),
        ("protocols", json!(["https"])),
        ("cors", json!(true)),
        ("enabled", json!(false)),
        ("authentication", json!("public")),
    ] {
        assert_eq!(full[field], value, "{field}: {full}");
    }
    assert!(bench.route("/dispatch/?a=b").await.contains("\"b\""));
}

#[test]
fn applications_and_secrets() {
    let bench = Bench::start();
    let cli = &bench.cli;
    assert_eq!(cli.ok("create application shop"), "Created application: shop\n");
    assert_eq!(cli.ok("create app forum"), "Created application: forum\n");
    cli.file("number.json", r#"{"pin": 4711}"#);
    let said = cli.fails("create secret s number.json");
    assert!(said.contains("pin must be a string") && !said.contains("4711"), "{said}");
    cli.file("broken.json", "{\"pin\": \"c4n4ry");
    let said = cli.fails("create secret s broken.json");
    assert!(said.contains("is not JSON (line 1)") && !said.contains("c4n4ry"), "{said}");
    cli.file("good.json", r#"{"pin": "4711"}"#);
    let made = cli.json("create secret s good.json -a shop");
    assert_eq!((&made["kind"], &made["name"]), (&json!("Secret"), &json!("s")));
    let said = cli.fails("create secret s good.json");
    assert!(said.contains("[Code: 409]") && said.contains("hint: "), "{said}");
}

#[test]
fn seed_images_for_every_language_found() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let engines = cli.json("get engines");
    let languages: Vec<_> = engines
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|engine| engine["languages"].as_array().unwrap())
        .map(|language| language.as_str().unwrap().to_owned())
        .collect();
    assert!(languages.contains(&"wasm".to_owned()), "{languages:?}");
    assert_eq!(cli.ok("create seed-images -O seeds.yaml"), "Wrote seeds.yaml\n");
    assert_eq!(cli.json("get images"), json!([]), "-O only writes");
    let said = cli.ok("create seed");
    for language in &languages {
        assert!(said.contains(&format!("Created base image: {language}-base\n")), "{said}");
        assert!(said.contains(&format!("Created image: {language}\n")), "{said}");
    }
    let again = cli.ok("create seed-images");
    assert!(again.contains("Exists already image: wasm\n") && !again.contains("Created"));
    // What was written says the same.
    let diff = cli.ok("apply -f seeds.yaml --dry-run");
    assert!(diff.lines().all(|line| line.ends_with(": unchanged")), "{diff}");
}

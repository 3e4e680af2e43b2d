//! `init`: what it makes deploys as it is, in every language of this machine.

use crate::bench::Bench;

#[tokio::test]
async fn a_new_folder_deploys_as_it_is_in_every_language() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let engines = cli.ok("get engines");
    let mut deployed = Vec::new();
    for language in ["python3", "nodejs", "java", "ruby", "php", "powershell", "binary", "wasm"] {
        let name = format!("hello-{language}");
        let said = cli.ok(&format!("init {language} {name}"));
        assert!(said.starts_with(&format!("Created function folder: {name}\n")), "{said}");
        if !engines.contains(language) {
            println!("could not run: {language} is not on this machine");
            continue;
        }
        // The very line it tells.
        let line = said.lines().last().unwrap().trim_start_matches("Deploy it: dispatch ");
        let said = cli.ok(line);
        assert!(said.contains(&format!("Created Function: {name}\n")), "{said}");
        let result =
            cli.ok(&format!("exec {name} --wait --result --input '{{\"name\": \"Ada\"}}'"));
        assert!(result.contains("Hello"), "{language}: {result}");
        let answer = bench.route(&format!("/dispatch/{name}?name=Ada")).await;
        assert!(answer.contains("Hello"), "{language}: {answer}");
        deployed.push(language);
    }
    assert!(deployed.contains(&"wasm"), "{deployed:?}");
}

#[test]
fn a_wrong_init_makes_nothing() {
    let cli = dispatch_testkit::Cli::new();
    assert!(cli.fails("init pyhton3 hello").contains("'python3'"));
    assert!(cli.fails("init python3 'bad name'").contains("name"));
    cli.file("full/file", "");
    let said = cli.fails("init python3 full");
    assert!(said.contains("full is not empty") && said.contains("hint: "), "{said}");
    cli.ok("init python3 full elsewhere/full");
    assert!(cli.home().join("elsewhere/full/hello.py").is_file());
}

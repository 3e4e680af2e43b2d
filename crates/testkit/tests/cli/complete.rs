//! Shell completions.

use dispatch_testkit::Cli;

use crate::bench::Bench;

#[test]
fn every_shell_gets_its_script() {
    let cli = Cli::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cli.ok(&format!("completion {shell}"));
        assert!(script.contains("dispatch"), "{shell}: {script}");
    }
    assert_eq!(cli.ok("completion"), cli.ok("completion bash"));
    assert!(cli.fails("completion tcsh").contains("bash"));
}

#[test]
fn a_shell_is_told_the_names_on_the_server() {
    let bench = Bench::with_functions();
    bench.cli.file("s.json", "{}");
    bench.cli.ok("create secret hush s.json");
    // As the script for fish asks: the line so far, the word at hand last.
    let cli = bench.cli.with("DISPATCH_COMPLETE", "fish");
    let words = |line: &str| {
        let told = cli.ok(&format!("-- dispatch {line}"));
        told.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (line, name) in [
        ("exec ec", "echo"),
        ("get function he", "hello"),
        ("get functions ''", "echo"),
        ("delete secret h", "hush"),
        ("delete function ec", "echo"),
        ("edit image w", "wasm"),
        ("create api a ech", "echo"),
        ("create function f code --image wa", "wasm"),
        ("get func", "function"),
        ("cordon engine wa", "wasm"),
        ("get engine pro", "process"),
        ("create engine x --type wa", "wasm"),
    ] {
        assert!(words(line).contains(&name.to_owned()), "{line}: {:?}", words(line));
    }
    assert!(!words("delete secret ''").contains(&"echo".to_owned()));
    let nobody = Cli::new().with("DISPATCH_PORT", "1").with("DISPATCH_COMPLETE", "fish");
    let outcome = nobody.run("-- dispatch exec ec");
    assert!(outcome.status.success() && outcome.stderr.is_empty(), "{outcome:?}");
}

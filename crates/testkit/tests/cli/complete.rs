//! Shell completions.

use dispatch_testkit::Cli;

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

//! `dispatch engine conformance`: the built command, against engines that run.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/engines/remote-python/engine.py")
}

/// An engine in Python; ended when dropped.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    /// None, plainly said, without Python.
    fn start(program: &Path, more: &[&str]) -> Option<Self> {
        let mut command = Command::new("python3");
        command.arg(program).args(["--port", "0"]).args(more).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            println!("could not run: python3 is not here");
            return None;
        };
        let mut line = String::new();
        let out = child.stdout.take().expect("it was asked for");
        BufReader::new(out).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap_or_default();
        assert!(!url.is_empty(), "the engine says {line:?}");
        Some(Self { url: url.to_owned(), child })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn conformance(url: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
    command.args(["engine", "conformance", url]).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_engine_that_keeps_the_contract_is_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret-of-the-engine\n").unwrap();
    let token = token.display().to_string();
    let Some(engine) = Running::start(&example(), &["--token-file", &token]) else { return };
    let names = ["echo", "logs", "broken", "outage"];
    let cases: Vec<&str> = names.iter().flat_map(|name| ["--case", name]).collect();
    let done = conformance(&engine.url, &[&cases[..], &["--token-file", &token]].concat());
    let shown = text(&done.stdout);
    assert!(done.status.success(), "{shown}{}", text(&done.stderr));
    assert!(shown.ends_with("3 passed, 0 failed, 1 not run\n"), "{shown}");
    for name in names {
        assert!(shown.lines().any(|line| line.trim_start().starts_with(name)), "{name}: {shown}");
    }

    let refused = conformance(&engine.url, &cases);
    let words = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("token"), "{words}");
}

/// The example with a defect: what handlers print is lost, and their errors are nobody's.
#[test]
fn an_engine_that_breaks_it_fails_with_the_cases() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("engine.py");
    let right = std::fs::read_to_string(example()).unwrap();
    let wrong = right.replace("out.getvalue()", "\"\"").replace("ENGINE003", "ENGINE006");
    assert_ne!(wrong, right);
    std::fs::write(&file, wrong).unwrap();
    let Some(engine) = Running::start(&file, &[]) else { return };
    let cases = ["--case", "echo", "--case", "logs", "--case", "broken", "-o", "json"];
    let done = conformance(&engine.url, &cases);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("logs, broken"), "{}", text(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["passed"], false, "{report}");
    let verdicts = report["cases"].as_array().unwrap();
    let verdicts = verdicts.iter().map(|case| (case["name"].as_str(), case["verdict"].as_str()));
    let failed: Vec<_> = verdicts.filter(|(_, verdict)| *verdict == Some("failed")).collect();
    let failed: Vec<_> = failed.into_iter().filter_map(|(name, _)| name).collect();
    assert_eq!(failed, ["logs", "broken"]);
}

#[test]
fn a_case_that_is_not_known_is_said() {
    let done = conformance("http://127.0.0.1:1", &["--case", "ecko"]);
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{words}");
    assert!(words.contains("ecko") && words.contains("echo"), "{words}");
}

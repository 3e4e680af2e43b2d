//! `dispatch-server` on the command line, `version`, and help.

use std::process::{Command, Output};

use base64::Engine as _;
use dispatch_testkit::{Cli, server_binary};
use serde_json::Value;
use sha2::Digest as _;

use crate::bench::Bench;

fn server(line: &str) -> Output {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(server_binary());
    command.args(line.split(' ')).env("DISPATCH_SERVER__DATA_DIR", data.path());
    command.output().unwrap()
}

#[test]
fn a_wrong_flag_names_the_right_one() {
    for (line, part) in [
        ("run --port 9090", "write --api 127.0.0.1:9090"),
        ("run --host=0.0.0.0", "write --api 0.0.0.0"),
        ("run --gateway-port 9091", "write --gateway-http 127.0.0.1:9091"),
        ("run --api 8080", "write 127.0.0.1:8080"),
        ("run --gateway-https localhost:8444", "write 127.0.0.1:8444"),
        ("run --log-format json", "DISPATCH_LOG__FORMAT"),
        ("run --databse x", "--database"),
        ("run --database mysql://u:p@h/n", "must be sqlite:PATH or postgres://"),
        ("rum", "run"),
    ] {
        let output = server(line);
        assert!(!output.status.success(), "{line}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(part), "{line}: {text}");
    }
}

#[test]
fn a_taken_address_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = server(&format!("run --api {address} --gateway-http 127.0.0.1:0"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&format!("the API cannot listen on {address}")), "{text}");
    assert!(text.contains("port 0 takes a free one"), "{text}");
}

#[test]
fn both_binaries_tell_what_they_were_built_from() {
    let bench = Bench::start();
    let output = server("version");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let version = bench.cli.json("version");
    assert_eq!(version["server"], told, "the server says the same over HTTP");
    assert_eq!(version["client"]["version"], told["version"]);
    assert_eq!(version["client"]["commit"], told["commit"]);
    for part in [&version["client"], &told] {
        let text = |field: &str| part[field].as_str().unwrap().to_owned();
        assert!(text("compiler").starts_with("rustc 1."), "{part}");
        assert!(text("buildDate").ends_with('Z') && text("buildDate").len() == 20, "{part}");
        assert!(text("platform").starts_with("linux/"), "{part}");
        // A tarball may not know it; a repository does.
        let commit = text("commit");
        let is_repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.git");
        let known = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(known || !std::path::Path::new(is_repository).exists(), "{part}");
    }
    let table = bench.cli.ok("version");
    assert!(table.starts_with(" PART    VERSION"), "{table}");
    let lonely = Cli::new().with("DISPATCH_PORT", "1");
    assert!(lonely.ok("version --client").contains("client"));
    assert_eq!(lonely.run("version").status.code(), Some(1));
}

#[test]
fn the_certificate_is_announced() {
    let bench = Bench::start();
    let certificate = bench.data.path().join("gateway/tls.crt");
    let pem = std::fs::read_to_string(&certificate).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let hex = sha2::Sha256::digest(der).iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>();
    let ready = &bench.server.ready;
    assert_eq!(ready["certificateSha256"], hex.join(":"), "as browsers show it");
    assert_eq!(ready["certificate"], certificate.to_str().unwrap());
}

#[test]
fn help_has_examples_and_exits_well() {
    let cli = Cli::new();
    for command in ["create", "exec", "delete", "init", "get", "log", "apply"] {
        let help = cli.ok(&format!("{command} --help"));
        assert!(help.contains("Examples:\n  dispatch "), "{help}");
    }
    assert!(cli.ok("--version").starts_with("dispatch 0."));
    assert!(cli.fails("").contains("Usage: dispatch"));
}

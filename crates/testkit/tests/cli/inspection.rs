//! `scan`, `prune`, `get signing-key`, and image policies.

use serde_json::{Value, json};

use crate::bench::Bench;

/// A flaw of Debian's openssl.
fn record(id: &str) -> String {
    json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-1"],
        "summary": "a flaw",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM",
                "events": [{"introduced": "0"}, {"fixed": "3.0.13-1"}]}]}],
    })
    .to_string()
}

#[test]
fn scan_imports_shows_and_fails_on_what_is_bad() {
    let (bench, url) = Bench::with_layouts();
    let cli = &bench.cli;
    let error = cli.fails("scan");
    assert!(
        error.contains("no database") && error.contains("hint: dispatch scan --import"),
        "{error}"
    );
    let error = cli.fails("scan --import nowhere");
    assert!(error.contains("cannot read nowhere") && error.contains("hint:"), "{error}");
    cli.ok(&format!("create base-image base {url} --language python3 --wait"));
    cli.ok("create image py base --wait");
    cli.file("records/Debian/DSA-1.json", &record("DSA-1"));
    cli.file("records/README", "no record");
    let outcome = cli.run("scan --import records");
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(outcome.stderr.contains("imported 1 vulnerability from 1 records"), "{outcome:?}");
    let lines: Vec<_> = outcome.stdout.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("SEVERITY") && lines[0].ends_with("IN"), "{outcome:?}");
    for word in ["CRITICAL 9.8", "CVE-2026-1", "openssl", "3.0.12-1", "3.0.13-1", "BaseImage base"]
    {
        assert!(outcome.stdout.contains(word), "{word}: {outcome:?}");
    }
    assert!(outcome.stdout.contains("(DSA-1)") && outcome.stdout.contains("Image py"));
    let report = cli.json("scan image py --severity high");
    assert_eq!(report["vulnerabilities"][0]["id"], "DSA-1");
    let failed = cli.run("scan image py --fail-on high");
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stderr.contains("1 vulnerability of severity HIGH or worse"), "{failed:?}");
    cli.ok("scan image py --package zlib --fail-on low");
    assert!(cli.fails("scan image nothing").contains("[Code: 404]"));
    assert!(cli.fails("scan image").contains("<NAME>"));
    let table = cli.ok("get package openssl");
    assert!(table.contains("3.0.12-1") && table.contains("BaseImage"), "{table}");
}

#[test]
fn image_policies_are_applied_listed_and_explain_themselves() {
    let (bench, url) = Bench::with_layouts();
    let cli = &bench.cli;
    cli.file(
        "policy.yaml",
        "kind: ImagePolicy\nname: strict\nrules:\n- name: no openssl\n  effect: deny\n  \
         match:\n    package: openssl\n    version: '< 3.1'\n",
    );
    assert_eq!(cli.ok("apply -f policy.yaml"), "Created ImagePolicy: strict\n");
    cli.ok(&format!("create base-image base {url} --language python3 --wait"));
    let error = cli.fails("create image py base --wait");
    assert!(error.contains("the deb package openssl 3.0.12-1 is denied by the rule"), "{error}");
    let table = cli.ok("get image-policies");
    assert!(table.contains("strict") && table.contains("deny no openssl"), "{table}");
    assert_eq!(cli.json("get image-policy strict")["mode"], "enforce");
    cli.file(
        "wrong.yaml",
        "kind: ImagePolicy\nname: wrong\nrules:\n- name: x\n  effect: deny\n  match:\n    \
         severity: {above: HIGH}\n    licence: MIT\n",
    );
    let error = cli.fails("apply -f wrong.yaml");
    assert!(error.contains("rules[0].match.licence") && error.contains("wrong.yaml:"), "{error}");
    assert_eq!(cli.ok("delete image-policy strict"), "Deleted image policy: strict\n");
    bench.until("get image py", "READY");
}

#[test]
fn prune_and_the_signing_key() {
    let bench = Bench::with_functions();
    let cli = &bench.cli;
    assert!(cli.ok("prune --dry-run").starts_with("Would delete 0 unpacked layers and 0 blobs"));
    assert_eq!(cli.json("prune --min-age 7d")["dryRun"], Value::Bool(false));
    assert!(cli.fails("prune --min-age soon").contains("must be a time span"));
    let key = cli.ok("get signing-key");
    assert!(key.starts_with("-----BEGIN PUBLIC KEY-----") && key.ends_with("-----\n"), "{key}");
    cli.ok("iam create organization acme --protect-in-use");
    assert_eq!(cli.json("iam get organization acme")["protectInUse"], true);
}

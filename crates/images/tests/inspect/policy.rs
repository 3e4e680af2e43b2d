//! Policies: what they catch, what they let pass, what is wrong with them.

use chrono::{DateTime, Duration, Utc};
use dispatch_images::Digest;
use dispatch_images::inventory::{Ecosystem, Inventory, Package, inventory};
use dispatch_images::policy::{Facts, ImageFact, Since, Violation, evaluate};
use dispatch_images::vulnerability::{Finding, Severity};
use dispatch_model::image_policy::ImagePolicySpec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::image::Image;

fn policy(rules: Value) -> ImagePolicySpec {
    let policy: ImagePolicySpec =
        serde_json::from_value(json!({ "rules": rules })).expect("a policy");
    assert_eq!(policy.check(), Ok(()));
    policy
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).expect("a time")
}

fn packages() -> Inventory {
    let image = Image::new();
    let deb = |name: &str, version: &str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nVersion: {version}\n\
                 Source: openssl\n\n"
        )
    };
    image.write("var/lib/dpkg/status", deb("libssl3", "3.0.9-1") + &deb("bash", "5.2-1"));
    for (name, licence) in
        [("free", "MIT"), ("choice", "MIT OR GPL-3.0-only"), ("both", "MIT AND GPL-3.0-only")]
    {
        let json = format!(r#"{{"name":"{name}","version":"1.0.0","license":"{licence}"}}"#);
        image.write(&format!("a/node_modules/{name}/package.json"), &json);
        image.write(&format!("b/node_modules/{name}/package.json"), &json);
    }
    image.write("a/node_modules/silent/package.json", r#"{"name":"silent","version":"1.0.0"}"#);
    inventory(&image.rootfs())
}

fn finding(id: &str, severity: Severity) -> Finding {
    Finding {
        id: id.to_owned(),
        aliases: vec![format!("CVE-{id}")],
        ecosystem: Ecosystem::Npm,
        source: None,
        package: "free".to_owned(),
        version: "1.0.0".to_owned(),
        purl: "pkg:npm/free@1.0.0".to_owned(),
        fixed_in: Some("1.0.1".to_owned()),
        severity,
        score: None,
        summary: String::new(),
    }
}

fn base(reference: &str, signed: bool) -> ImageFact {
    let digest = (!reference.starts_with("host:")).then(|| Digest::of(reference.as_bytes()));
    ImageFact { reference: reference.to_owned(), digest, base: true, signed }
}

fn judged(
    policy: &ImagePolicySpec,
    packages: &[Package],
    findings: &[Finding],
    images: &[ImageFact],
) -> Vec<Violation> {
    let facts = Facts { packages, findings, images, since: &Since::new(), now: now() };
    evaluate(policy, &facts)
}

fn subjects(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|violation| violation.subject.as_str()).collect()
}

#[test]
fn packages_by_name_source_version_and_ecosystem() {
    let found = packages();
    let caught = |rule: Value| {
        let policy = policy(json!([{ "name": "r", "effect": "deny", "match": rule }]));
        let violations = judged(&policy, &found.packages, &[], &[]);
        violations.into_iter().map(|v| v.subject).collect::<Vec<_>>()
    };
    assert_eq!(caught(json!({ "package": "bash" })), ["deb/bash@5.2-1"]);
    let old = json!({ "package": ["openssl"], "version": "< 3.0.11", "ecosystem": "deb" });
    assert_eq!(caught(old), ["deb/libssl3@3.0.9-1"]);
    assert_eq!(
        caught(json!({ "package": "openssl", "version": ">= 3.0.11-1" }))[..],
        ["deb/bash@5.2-1"]
    );
    assert_eq!(caught(json!({ "package": "openssl", "ecosystem": "npm" })), [""; 0]);
    // Installed twice, said once.
    assert_eq!(caught(json!({ "package": "fr?e" })), ["npm/free@1.0.0"]);
    let policy = policy(json!([
        { "name": "no bash", "effect": "deny", "match": { "package": "bash" } },
    ]));
    let violation = &judged(&policy, &found.packages, &[], &[])[0];
    assert!(violation.enforced);
    assert_eq!(violation.message, "the deb package bash 5.2-1 is denied by the rule \"no bash\"");
}

#[test]
fn licences_a_licensee_can_choose_or_must_accept() {
    let found = packages();
    let npm: Vec<Package> =
        found.packages.into_iter().filter(|p| p.ecosystem == Ecosystem::Npm).collect();
    let deny = policy(json!([
        { "name": "gpl", "effect": "deny", "match": { "licence": "GPL-*" } },
    ]));
    let violations = judged(&deny, &npm, &[], &[]);
    assert_eq!(subjects(&violations), ["npm/both@1.0.0"]);
    assert!(violations[0].message.contains("under MIT AND GPL-3.0-only"), "{violations:?}");
    let list = policy(json!([
        { "name": "fine", "effect": "allow", "match": { "licence": ["MIT", "BSD-*"] } },
        { "name": "rest", "effect": "warn", "match": { "licence": "*" } },
    ]));
    let violations = judged(&list, &npm, &[], &[]);
    assert_eq!(subjects(&violations), ["npm/both@1.0.0", "npm/silent@1.0.0"]);
    assert!(violations.iter().all(|violation| !violation.enforced));
    assert!(violations[1].message.contains("without a known licence is discouraged"));
}

#[test]
fn base_images_however_they_are_written() {
    let ours = base("registry.example.com:5000/base/debian:12", true);
    let digest = ours.digest.clone().expect("it has one");
    let host = base("host:python3", false);
    let caught = |glob: &str| {
        let policy = policy(json!([
            { "name": "r", "effect": "deny", "match": { "baseImage": glob } },
        ]));
        subjects(&judged(&policy, &[], &[], &[ours.clone(), host.clone()])).len()
    };
    for (glob, count) in [
        ("registry.example.com:5000/base/*", 1),
        ("registry.example.com:5000/base/debian", 1),
        ("registry.example.com:5000/base/debian:11", 0),
        ("host:*", 1),
        ("host", 0),
        ("*", 2),
        ("sha256:*", 1),
    ] {
        assert_eq!(caught(glob), count, "{glob}");
    }
    assert_eq!(caught(&format!("registry.example.com:5000/base/debian@{digest}")), 1);
    assert_eq!(caught(digest.as_str()), 1);
    let list = policy(json!([
        { "name": "ours", "effect": "allow", "match": { "baseImage": "registry.example.com*" } },
        { "name": "host", "effect": "allow", "match": { "baseImage": "host:*", "unsigned": true } },
        { "name": "others", "effect": "deny", "match": { "baseImage": "*" } },
        { "name": "signed", "effect": "deny", "match": { "unsigned": true } },
    ]));
    let other = base("docker.io/library/debian:12", false);
    let violations = judged(&list, &[], &[], &[ours, host, other]);
    let rules: Vec<(&str, &str)> =
        violations.iter().map(|v| (v.rule.as_str(), v.subject.as_str())).collect();
    assert_eq!(
        rules,
        [
            ("others", "host:python3"),
            ("others", "docker.io/library/debian:12"),
            ("signed", "unsigned docker.io/library/debian:12"),
        ]
    );
}

#[test]
fn vulnerabilities_above_a_severity_with_exceptions_and_grace() {
    let findings = [
        finding("1", Severity::Critical),
        finding("2", Severity::High),
        finding("3", Severity::Critical),
    ];
    let mut policy = policy(json!([
        { "name": "known", "effect": "allow", "match": { "vulnerability": "CVE-3" } },
        { "name": "critical", "effect": "deny", "match": { "severity": { "above": "HIGH" } },
          "graceDays": 14 },
    ]));
    let at = |policy: &ImagePolicySpec, found: Option<DateTime<Utc>>| {
        let key = ("critical".to_owned(), "1 in npm/free@1.0.0".to_owned());
        let since: Since = found.map(|time| (key, time)).into_iter().collect();
        let facts =
            Facts { packages: &[], findings: &findings, images: &[], since: &since, now: now() };
        let violations = evaluate(policy, &facts);
        assert_eq!(subjects(&violations), ["1 in npm/free@1.0.0"]);
        violations[0].clone()
    };
    let fresh = at(&policy, None);
    assert_eq!(fresh.grace_until, Some(now() + Duration::days(14)));
    assert!(!fresh.enforced);
    assert_eq!(
        fresh.message,
        "the npm package free 1.0.0 has 1 (CRITICAL, fixed in 1.0.1), which is denied from \
         2023-11-28 22:13 UTC on by the rule \"critical\""
    );
    assert!(!at(&policy, Some(now() - Duration::days(13))).enforced);
    let late = at(&policy, Some(now() - Duration::days(14)));
    assert!(late.enforced && late.grace_until.is_none());
    policy.mode = serde_json::from_value(json!("warn")).expect("a mode");
    assert!(!at(&policy, Some(now() - Duration::days(20))).enforced);
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let deny = |rule: Value| json!([{ "name": "r", "effect": "deny", "match": rule }]);
    let many: Vec<Value> = (0..257)
        .map(|n| json!({ "name": n.to_string(), "effect": "deny", "match": { "package": "x" } }))
        .collect();
    let twice = json!([
        { "name": "r", "effect": "deny", "match": { "package": "x" } },
        { "name": "r", "effect": "warn", "match": { "package": "y" } },
    ]);
    for (rules, field) in [
        (deny(json!({})), "rules[0].match"),
        (deny(json!({ "package": "" })), "rules[0].match.package"),
        (deny(json!({ "package": [] })), "rules[0].match.package"),
        (deny(json!({ "licence": "x".repeat(301) })), "rules[0].match.licence"),
        (deny(json!({ "version": "<" })), "rules[0].match.version"),
        (deny(json!({ "version": "1".repeat(301) })), "rules[0].match.version"),
        (deny(json!({ "unsigned": false })), "rules[0].match.unsigned"),
        (deny(json!({ "unsigned": true, "package": "x" })), "rules[0].match.package"),
        (deny(json!({ "baseImage": "x", "licence": "y" })), "rules[0].match.licence"),
        (
            deny(json!({ "severity": { "above": "LOW" }, "baseImage": "x" })),
            "rules[0].match.baseImage",
        ),
        (twice, "rules[1].name"),
        (json!(many), "rules"),
        (json!([{ "name": "", "effect": "deny", "match": { "package": "x" } }]), "rules[0].name"),
        (
            json!([{ "name": "r", "effect": "deny", "match": { "package": "x" },
                     "graceDays": 3651 }]),
            "rules[0].graceDays",
        ),
        (
            json!([{ "name": "r", "effect": "warn", "match": { "package": "x" },
                     "graceDays": 1 }]),
            "rules[0].graceDays",
        ),
    ] {
        let policy: ImagePolicySpec =
            serde_json::from_value(json!({ "rules": rules })).expect("a policy");
        assert_eq!(policy.check().expect_err(field).field, field);
    }
    for unknown in [
        json!({ "rulez": [] }),
        json!({ "rules": deny(json!({ "pakage": "x" })) }),
        json!({ "rules": deny(json!({ "severity": { "above": "SEVERE" } })) }),
        json!({ "rules": deny(json!({ "ecosystem": "cargo" })) }),
    ] {
        assert!(serde_json::from_value::<ImagePolicySpec>(unknown).is_err());
    }
}

proptest! {
    /// Whatever passes the check can be evaluated and written and read again.
    #[test]
    fn checked_policies_work(glob in "[*?a-z:@/.]{0,12}", version in "[<>=|, 0-9.a-z]{0,12}") {
        let rules = json!([
            { "name": "a", "effect": "deny", "match": { "package": glob, "version": version } },
            { "name": "b", "effect": "warn", "match": { "baseImage": glob } },
        ]);
        let policy: ImagePolicySpec =
            serde_json::from_value(json!({ "rules": rules })).expect("a policy");
        if policy.check().is_ok() {
            judged(&policy, &[], &[finding("1", Severity::Low)], &[base("a/b:c", false)]);
            let text = serde_json::to_string(&policy).expect("JSON");
            let again: ImagePolicySpec = serde_json::from_str(&text).expect("the same");
            prop_assert_eq!(again, policy);
        }
    }
}

#[test]
fn names_are_compared_as_their_ecosystems_do() {
    let rule = |package: &str| {
        policy(json!([{"name": "r", "effect": "deny", "match": {"package": package}}]))
    };
    let image = Image::new();
    let metadata = "Metadata-Version: 2.1\nName: Evil_Pkg\nVersion: 1\n";
    image.write("usr/lib/python3/dist-packages/Evil_Pkg-1.dist-info/METADATA", metadata);
    let installed = inventory(&image.rootfs()).packages.remove(0);
    for name in ["evil-pkg", "Evil_Pkg", "evil.pkg", "evil-*"] {
        let found = judged(&rule(name), std::slice::from_ref(&installed), &[], &[]);
        assert_eq!(found.len(), 1, "{name}");
    }
    // Vulnerabilities of what a source package was built into are found by the source's name.
    let mut flaw = finding("1", Severity::Critical);
    flaw.source = Some("zlib".to_owned());
    let matches = json!({"severity": {"above": "LOW"}, "package": "zlib"});
    let rules = policy(json!([{"name": "r", "effect": "deny", "match": matches}]));
    assert_eq!(judged(&rules, &[], &[flaw], &[]).len(), 1);
    // The hub's images, as people write them.
    let hub = base("docker.io/library/debian:12", true);
    for name in ["debian:12", "debian", "library/debian:*", "docker.io/library/debian:12"] {
        let matches = json!({"baseImage": name});
        let rules = policy(json!([{"name": "r", "effect": "deny", "match": matches}]));
        assert_eq!(judged(&rules, &[], &[], std::slice::from_ref(&hub)).len(), 1, "{name}");
    }
}

//! Bills of materials against the official schemas, and their cost.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dispatch_images::Digest;
use dispatch_images::inventory::{Inventory, inventory};
use dispatch_images::sbom::{Artifact, Bill, Kind};
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use crate::image::Image;

fn schema(name: &str) -> Value {
    let path = format!("{}/tests/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    serde_json::from_str(&text).expect("JSON")
}

fn cyclonedx() -> Validator {
    let mut registry = Registry::new();
    for name in ["spdx", "jsf-0.82"] {
        let uri = format!("http://cyclonedx.org/schema/{name}.schema.json");
        registry = registry.add(uri, schema(name)).expect("a resource");
    }
    let registry = registry.prepare().expect("a registry");
    let options = jsonschema::options().with_registry(&registry);
    options.build(&schema("bom-1.6")).expect("the schema of CycloneDX")
}

fn spdx() -> Validator {
    jsonschema::validator_for(&schema("spdx-2.3")).expect("the schema of SPDX")
}

fn valid(validator: &Validator, document: &[u8]) -> Value {
    let document: Value = serde_json::from_slice(document).expect("JSON");
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|e| format!("{}: {e:.300}", e.instance_path()))
        .collect();
    assert_eq!(errors, [""; 0]);
    document
}

fn bill(inventory: &Inventory) -> Bill<'_> {
    let artifact = |kind, name: &str| Artifact {
        kind,
        name: name.to_owned(),
        digest: Digest::of(name.as_bytes()),
    };
    Bill {
        subject: artifact(Kind::Function, "hello"),
        chain: vec![
            artifact(Kind::BaseImage, "registry.example.com:5000/os/debian:12"),
            artifact(Kind::Image, "python3"),
        ],
        os: inventory.os.as_ref(),
        packages: &inventory.packages,
        created: DateTime::<Utc>::from_timestamp(1_700_000_000, 5).expect("a time"),
        tool_version: "0.2.0".to_owned(),
    }
}

/// Every shape of licence, checksum and name that a package can have.
fn odd() -> Image {
    let image = Image::new();
    image.write("etc/os-release", "ID=alpine\n");
    let package = |name: &str, licence: &str| {
        format!("C:Q1EyN5AdpAOBJWKMR89mp/C66o+OE=\nP:{name}\nV:1\nL:{licence}\nm:A <a@b>\n\n")
    };
    let all = [
        package("id", "MIT"),
        package("expression", "MIT AND (ISC OR Zlib)"),
        package("text", "do as you like"),
        package("own", "LicenseRef-mine AND MIT"),
        package("none", ""),
        package("twice", "MIT"),
        package("näme with/odd #parts?", "MIT"),
    ];
    image.write("lib/apk/db/installed", all.concat());
    for place in ["a", "b"] {
        let path = format!("{place}/node_modules/x/package.json");
        image.write(&path, r#"{"name":"x","version":"1.0.0","dependencies":{"x":"1","y":"2"}}"#);
    }
    let terms = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                 Files: *\nLicense: MIT\n\nFiles: b\nLicense: GPL-2+ or Zlib\n\nFiles: c\n\
                 License: odd\n";
    image.write("usr/share/doc/mixed/copyright", terms);
    let status = "Package: mixed\nStatus: install ok installed\nVersion: 1\n";
    image.write("var/lib/dpkg/status", status);
    image
}

#[test]
fn documents_follow_the_official_schemas() {
    let (cyclonedx, spdx) = (cyclonedx(), spdx());
    for image in [Image::of_this_machine(), odd(), Image::new()] {
        let inventory = inventory(&image.rootfs());
        let bill = bill(&inventory);
        let document = valid(&cyclonedx, &bill.cyclonedx());
        let os = usize::from(inventory.os.is_some());
        let components = document["components"].as_array().expect("a list").len();
        assert_eq!(components, inventory.packages.len() + 2 + os);
        let mut names: Vec<&str> = document["components"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|component| component["bom-ref"].as_str().expect("a name"))
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), components, "names of components are unique");
        let document = valid(&spdx, &bill.spdx());
        let packages = document["packages"].as_array().expect("a list").len();
        assert_eq!(packages, inventory.packages.len() + 3 + os);
    }
    // The schemas do refuse: a test that accepts everything would prove nothing.
    let wrong = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 0 });
    assert!(!cyclonedx.is_valid(&wrong));
    assert!(!spdx.is_valid(&json!({ "spdxVersion": "SPDX-2.3" })));
}

#[test]
fn licences_and_the_chain_are_told() {
    let image = odd();
    let inventory = inventory(&image.rootfs());
    let bill = bill(&inventory);
    let document: Value = serde_json::from_slice(&bill.cyclonedx()).expect("JSON");
    let licences = |name: &str| {
        let components = document["components"].as_array().expect("a list");
        components.iter().find(|c| c["name"] == name).expect(name)["licenses"].clone()
    };
    assert_eq!(licences("id"), json!([{ "license": { "id": "MIT" } }]));
    assert_eq!(licences("expression"), json!([{ "expression": "MIT AND (ISC OR Zlib)" }]));
    assert_eq!(licences("text"), json!([{ "license": { "name": "do as you like" } }]));
    assert_eq!(licences("none"), Value::Null);
    assert_eq!(licences("mixed").as_array().map(Vec::len), Some(3));
    let function = format!("function:{}", Digest::of(b"hello"));
    let edges = document["dependencies"].as_array().expect("a list");
    let of = edges.iter().find(|edge| edge["ref"] == function.as_str()).expect("the function");
    assert_eq!(of["dependsOn"][0], format!("image:{}", Digest::of(b"python3")));
    let document: Value = serde_json::from_slice(&bill.spdx()).expect("JSON");
    assert_eq!(document["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let own = document["hasExtractedLicensingInfos"].as_array().expect("a list");
    assert!(own.iter().any(|info| info["extractedText"] == "do as you like"), "{own:?}");
    assert!(own.iter().any(|info| info["licenseId"] == "LicenseRef-mine"), "{own:?}");
}

#[test]
fn the_same_bill_is_the_same_bytes_and_cheap() {
    let image = Image::of_this_machine();
    let started = Instant::now();
    let first = inventory(&image.rootfs());
    let (cyclonedx, spdx) = (bill(&first).cyclonedx(), bill(&first).spdx());
    let took = started.elapsed();
    let second = inventory(&image.rootfs());
    assert!(cyclonedx == bill(&second).cyclonedx() && spdx == bill(&second).spdx());
    let mut other = bill(&second);
    other.subject.digest = Digest::of(b"other");
    assert_ne!(cyclonedx, other.cyclonedx());
    // The bar is one second for 300 packages in an optimised build; this is not one.
    let packages = u32::try_from(first.packages.len()).expect("few");
    println!("{packages} packages: {took:?}, {} and {} bytes", cyclonedx.len(), spdx.len());
    assert!(took < Duration::from_secs(1).mul_f64(f64::from(packages.max(300)) / 75.0), "{took:?}");
}

//! CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Artifact, Bill, edges};
use crate::inventory::{Package, licence};

pub const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

pub fn document(bill: &Bill<'_>) -> Value {
    let references = references(bill.packages);
    let packages = bill.packages.iter().zip(&references).map(|(p, r)| package(p, r));
    let mut components: Vec<Value> = bill.chain.iter().map(container).collect();
    components.extend(bill.os.map(|os| {
        json!({
            "type": "operating-system",
            "bom-ref": "os",
            "name": os.id,
            "version": os.version_id,
            "description": os.name,
        })
    }));
    components.extend(packages);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", bill.uuid("cyclonedx")),
        "version": 1,
        "metadata": {
            "timestamp": bill.timestamp(),
            "tools": { "components": [{
                "type": "application",
                "name": "dispatch",
                "version": bill.tool_version,
            }] },
            "component": container(&bill.subject),
        },
        "components": components,
        "dependencies": dependencies(bill, &references),
    })
}

/// An image. Its hash is that of its manifest.
fn container(artifact: &Artifact) -> Value {
    let mut component = json!({
        "type": "container",
        "bom-ref": reference(artifact),
        "name": artifact.name,
        "version": artifact.digest.as_str(),
        "hashes": [{ "alg": "SHA-256", "content": artifact.digest.hex() }],
        "properties": [{ "name": "dispatch:kind", "value": artifact.kind.as_str() }],
    });
    set(&mut component, "purl", artifact.purl());
    component
}

fn reference(artifact: &Artifact) -> String {
    format!("{}:{}", artifact.kind.as_str(), artifact.digest)
}

/// A name for each package that no other component has: its URL, and where that is not enough
/// where it was found, and at last a number.
fn references(packages: &[Package]) -> Vec<String> {
    let mut taken = HashSet::new();
    let unique = |package: &Package| {
        let mut reference = package.purl.clone();
        if reference.is_empty() || taken.contains(&reference) {
            let what = format!("{}/{}@{}", package.ecosystem, package.name, package.version);
            let start = if package.purl.is_empty() { &what } else { &package.purl };
            reference = format!("{start}#{}", package.location);
        }
        while !taken.insert(reference.clone()) {
            reference = format!("{reference}~{}", taken.len());
        }
        reference
    };
    packages.iter().map(unique).collect()
}

fn package(package: &Package, reference: &str) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "evidence": { "occurrences": [{ "location": package.location }] },
        "properties": [{ "name": "dispatch:ecosystem", "value": package.ecosystem.as_str() }],
    });
    set(&mut component, "purl", Some(package.purl.as_str()).filter(|purl| !purl.is_empty()));
    set(&mut component, "supplier", package.supplier.as_ref().map(|name| json!({ "name": name })));
    set(&mut component, "licenses", licences(&package.licences));
    let hash = package.checksum.as_ref().and_then(|sum| sum.split_once(':')).and_then(hash);
    set(&mut component, "hashes", hash.map(|hash| json!([hash])));
    component
}

fn set(component: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        component[field] = value.into();
    }
}

fn hash((algorithm, content): (&str, &str)) -> Option<Value> {
    let name = match algorithm {
        "sha1" => "SHA-1",
        "sha256" => "SHA-256",
        "sha512" => "SHA-512",
        _ => return None,
    };
    Some(json!({ "alg": name, "content": content }))
}

/// Either one expression or a list of names: the format allows no mixture.
fn licences(licences: &[String]) -> Option<Value> {
    let named = |text: &String| {
        let kind = if licence::is_id(text) { "id" } else { "name" };
        json!({ "license": { kind: text } })
    };
    match licences {
        [] => None,
        [one] if !licence::is_id(one) && licence::is_expression(one) => {
            Some(json!([{ "expression": one }]))
        }
        many if many.iter().all(|text| licence::is_expression(text))
            && !many.iter().all(|text| licence::is_id(text)) =>
        {
            Some(json!([{ "expression": all(many) }]))
        }
        many => Some(many.iter().map(named).collect()),
    }
}

/// One expression that says that all of them apply.
pub fn all(licences: &[String]) -> String {
    if let [one] = licences {
        return one.clone();
    }
    let part = |text: &String| {
        if text.contains(" OR ") { format!("({text})") } else { text.clone() }
    };
    licences.iter().map(part).collect::<Vec<_>>().join(" AND ")
}

fn dependencies(bill: &Bill<'_>, references: &[String]) -> Vec<Value> {
    let mut all = Vec::new();
    let images: Vec<String> = bill.chain.iter().chain([&bill.subject]).map(reference).collect();
    for (at, image) in images.iter().enumerate() {
        let mut on: Vec<&String> = images[..at].last().into_iter().collect();
        if at + 1 == images.len() {
            on.extend(references);
        }
        all.push(json!({ "ref": image, "dependsOn": on }));
    }
    for (at, needed) in edges(bill.packages).into_iter().enumerate() {
        let needed: Vec<&String> = needed.into_iter().map(|n| &references[n]).collect();
        if !needed.is_empty() {
            all.push(json!({ "ref": references[at], "dependsOn": needed }));
        }
    }
    all
}

//! SPDX 2.3 (<https://spdx.github.io/spdx-spec/v2.3/>).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Artifact, Bill, cyclonedx, edges};
use crate::inventory::{Package, licence};

pub const MEDIA_TYPE: &str = "application/spdx+json";

/// Documents of one namespace never say different things: it ends in a UUID of the subject.
const NAMESPACE: &str = "https://github.com/dispatchframework/dispatch/spdx";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const NONE: &str = "NOASSERTION";

pub fn document(bill: &Bill<'_>) -> Value {
    // Licences that are no expression: their reference → the text.
    let mut own = BTreeMap::new();
    let mut packages: Vec<Value> =
        bill.chain.iter().chain([&bill.subject]).map(container).collect();
    packages.extend(bill.os.map(|os| {
        json!({
            "SPDXID": "SPDXRef-os",
            "name": os.id,
            "versionInfo": os.version_id,
            "summary": os.name,
            "downloadLocation": NONE,
            "filesAnalyzed": false,
            "primaryPackagePurpose": "OPERATING_SYSTEM",
        })
    }));
    let listed = bill.packages.iter().enumerate();
    packages.extend(listed.map(|(at, found)| package(found, at, &mut own)));
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": bill.subject.name,
        "documentNamespace": format!("{NAMESPACE}/{}", bill.uuid("spdx")),
        "creationInfo": {
            "created": bill.timestamp(),
            "creators": [format!("Tool: dispatch-{}", bill.tool_version)],
        },
        "packages": packages,
        "relationships": relationships(bill),
    });
    if !own.is_empty() {
        let infos = own
            .into_iter()
            .map(|(id, text)| json!({ "licenseId": id, "extractedText": text, "name": text }));
        document["hasExtractedLicensingInfos"] = infos.collect();
    }
    document
}

fn container(artifact: &Artifact) -> Value {
    let mut package = json!({
        "SPDXID": id(artifact),
        "name": artifact.name,
        "versionInfo": artifact.digest.as_str(),
        "downloadLocation": NONE,
        "filesAnalyzed": false,
        "checksums": [{ "algorithm": "SHA256", "checksumValue": artifact.digest.hex() }],
        "primaryPackagePurpose": "CONTAINER",
        "comment": format!("kind: {}", artifact.kind.as_str()),
    });
    if let Some(purl) = artifact.purl() {
        package["externalRefs"] = json!([reference(&purl)]);
    }
    package
}

fn id(artifact: &Artifact) -> String {
    format!("SPDXRef-{}-{}", artifact.kind.as_str(), artifact.digest.hex())
}

fn package_id(at: usize) -> String {
    format!("SPDXRef-package-{at}")
}

fn reference(purl: &str) -> Value {
    json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    })
}

fn package(package: &Package, at: usize, own: &mut BTreeMap<String, String>) -> Value {
    let declared: Vec<String> = package.licences.iter().map(|text| declared(text, own)).collect();
    let declared = if declared.is_empty() { NONE.to_owned() } else { cyclonedx::all(&declared) };
    let mut out = json!({
        "SPDXID": package_id(at),
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": NONE,
        "filesAnalyzed": false,
        "licenseConcluded": NONE,
        "licenseDeclared": declared,
        "copyrightText": NONE,
        "sourceInfo": format!("{}: {}", package.ecosystem, package.location),
        "primaryPackagePurpose": "LIBRARY",
    });
    if !package.purl.is_empty() {
        out["externalRefs"] = json!([reference(&package.purl)]);
    }
    if let Some(supplier) = &package.supplier {
        // Metadata does not say which of the two it names.
        out["supplier"] = json!(format!("Organization: {supplier}"));
    }
    if let Some((algorithm, sum)) = package.checksum.as_ref().and_then(|sum| sum.split_once(':')) {
        let algorithm = algorithm.to_uppercase();
        out["checksums"] = json!([{ "algorithm": algorithm, "checksumValue": sum }]);
    }
    out
}

/// The expression; a text that is none becomes a reference to itself among the document's own.
fn declared(text: &str, own: &mut BTreeMap<String, String>) -> String {
    if !licence::is_expression(text) {
        let hash = Sha256::digest(text.as_bytes());
        let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("LicenseRef-{hex}");
        own.insert(id.clone(), text.to_owned());
        return id;
    }
    let references = text.split([' ', '(', ')']).filter(|word| word.starts_with("LicenseRef-"));
    for reference in references {
        own.insert(reference.to_owned(), reference.to_owned());
    }
    text.to_owned()
}

fn relationships(bill: &Bill<'_>) -> Vec<Value> {
    let relation = |from: &str, kind: &str, to: &str| {
        json!({
            "spdxElementId": from,
            "relationshipType": kind,
            "relatedSpdxElement": to,
        })
    };
    let subject = id(&bill.subject);
    let mut all = vec![relation(DOCUMENT, "DESCRIBES", &subject)];
    let images: Vec<String> = bill.chain.iter().chain([&bill.subject]).map(id).collect();
    for pair in images.windows(2) {
        all.push(relation(&pair[1], "DESCENDANT_OF", &pair[0]));
    }
    if bill.os.is_some() {
        all.push(relation(&subject, "CONTAINS", "SPDXRef-os"));
    }
    for at in 0..bill.packages.len() {
        all.push(relation(&subject, "CONTAINS", &package_id(at)));
    }
    for (at, needed) in edges(bill.packages).into_iter().enumerate() {
        for other in needed {
            all.push(relation(&package_id(at), "DEPENDS_ON", &package_id(other)));
        }
    }
    all
}

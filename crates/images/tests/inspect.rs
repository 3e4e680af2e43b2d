//! Looking into images: inventories, bills of materials, vulnerabilities, signatures, held against
//! real package managers, official schemas and OpenSSL.

#[path = "inspect/debian.rs"]
mod debian;
#[path = "inspect/image.rs"]
mod image;
#[path = "inspect/languages.rs"]
mod languages;
#[path = "inspect/policy.rs"]
mod policy;
#[path = "inspect/rpm.rs"]
mod rpm;
#[path = "inspect/sbom.rs"]
mod sbom;
#[path = "inspect/sign.rs"]
mod sign;
#[path = "inspect/vulnerability.rs"]
mod vulnerability;

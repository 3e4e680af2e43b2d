//! Fills a stopped server's store with functions on images whose packages are known:
//! `fill_content DIR N`.
//!
//! There are 100 images of 300 packages. `common-000` to `common-249` are in all of them, each in
//! five versions; `own-III-000` to `own-III-049` are in image III only. Function i is on image
//! i mod 100; it was never deployed.

use anyhow::{Context, Result};
use dispatch_images::Digest;
use dispatch_images::inventory::{Ecosystem, Package, Source};
use dispatch_model::function::{Function, FunctionSpec, FunctionStatus};
use dispatch_model::{Name, OrgName, Resource, State, Tags};
use dispatch_store::content::PackageRow;
use dispatch_store::{Options, Store};

const IMAGES: u32 = 100;
const COMMON: u32 = 250;
const OWN: u32 = 50;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("the data directory is missing")?;
    let count: u32 = arguments.next().context("the number of functions is missing")?.parse()?;
    let store = Store::open(&format!("sqlite:{folder}/dispatch.db"), Options::default()).await?;
    for image in 0..IMAGES {
        store.content_put(&digest("image", image), "{}", &packages(image)?).await?;
    }
    let org = OrgName::new("dispatch")?;
    for i in 0..count {
        let name = Name::new(&format!("fill-{i:06}"))?;
        let spec = FunctionSpec {
            image: format!("image-{:03}", i % IMAGES),
            handler: "fill.handle".into(),
            ..FunctionSpec::default()
        };
        let mut function: Resource<Function> =
            Resource::new(org.clone(), name, Tags::new(), State::Ready, spec);
        function.status = FunctionStatus {
            engine: Some("process".into()),
            // A function has an image of its own beside that it is built on.
            digest: Some(digest("function", i)),
            image_digest: Some(digest("image", i % IMAGES)),
            ..FunctionStatus::default()
        };
        store.insert(&function).await?;
    }
    store.close().await;
    Ok(())
}

fn digest(kind: &str, number: u32) -> String {
    Digest::of(format!("{kind} {number}").as_bytes()).to_string()
}

fn packages(image: u32) -> Result<Vec<PackageRow>> {
    let common = (0..COMMON).map(|i| (format!("common-{i:03}"), image % 5));
    let own = (0..OWN).map(|i| (format!("own-{image:03}-{i:03}"), 0));
    common.chain(own).map(|(name, version)| row(&name, &format!("1.{version}.0-2"))).collect()
}

/// A package with all that a Debian one usually tells of itself.
fn row(name: &str, version: &str) -> Result<PackageRow> {
    let package = Package {
        ecosystem: Ecosystem::Deb,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: Some("amd64".to_owned()),
        location: "/var/lib/dpkg/status".to_owned(),
        licences: ["BSD-3-Clause", "GPL-2.0-or-later"].map(str::to_owned).to_vec(),
        purl: format!("pkg:deb/debian/{name}@{version}?arch=amd64&distro=debian-12"),
        checksum: None,
        supplier: Some("Maintainers of packages <maintainers@example.org>".to_owned()),
        source: Some(Source { name: name.to_owned(), version: version.to_owned() }),
        dependencies: ["libc6", "libssl3", "zlib1g"].map(str::to_owned).to_vec(),
    };
    Ok(PackageRow {
        name: package.name.clone(),
        ecosystem: package.ecosystem.as_str().to_owned(),
        version: package.version.clone(),
        body: serde_json::to_string(&package)?,
    })
}

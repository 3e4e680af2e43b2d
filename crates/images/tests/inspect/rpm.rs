//! RPM's databases, written by the real rpm from packages the real rpmbuild made.

use std::path::Path;

use dispatch_images::inventory::{Ecosystem, Inventory, inventory};

use crate::image::{Image, one, output};

const SPEC: &str = "
Name: greet
Version: 1.2
Release: 3
Epoch: 4
Summary: Says hello
License: MIT and GPLv2+
Vendor: Example Works
BuildArch: noarch
Requires: greet-data
%description
It says hello.
%package data
Summary: Words
Requires: greet
%description data
Words.
%files
%files data
";

/// An image whose database rpm wrote.
fn image() -> Image {
    let image = Image::new();
    image.write("build/greet.spec", SPEC);
    let build = image.top().join("build");
    let top = format!("_topdir {}", build.display());
    output("rpmbuild", &["-bb", "--define", &top, "greet.spec"], &build);
    let root = image.top().display().to_string();
    let packages = ["greet-1.2-3.noarch.rpm", "greet-data-1.2-3.noarch.rpm"];
    let packages = packages.map(|name| format!("RPMS/noarch/{name}"));
    let mut arguments = vec!["--root", &root, "--define", "_db_backend sqlite"];
    arguments.extend(["--define", "_dbpath /var/lib/rpm", "-i", "--nodeps", "--noscripts"]);
    arguments.extend(packages.iter().map(String::as_str));
    output("rpm", &arguments, &build);
    image.write("etc/os-release", "ID=photon\nVERSION_ID=5.0\n");
    image
}

fn check(inventory: &Inventory) {
    assert_eq!(inventory.notes, []);
    assert_eq!(inventory.packages.len(), 2, "{inventory:#?}");
    let greet = one(inventory, Ecosystem::Rpm, "greet");
    assert_eq!(greet.version, "4:1.2-3");
    assert_eq!(greet.architecture.as_deref(), Some("noarch"));
    assert_eq!(greet.licences, ["MIT AND GPL-2.0-or-later"]);
    assert_eq!(greet.supplier.as_deref(), Some("Example Works"));
    let purl = "pkg:rpm/photon/greet@1.2-3?arch=noarch&distro=photon-5.0&epoch=4";
    assert_eq!(greet.purl, purl);
    assert_eq!(greet.dependencies, ["greet-data"]);
    assert_eq!(greet.source.as_ref().map(|s| s.name.as_str()), Some("greet"));
    assert!(greet.checksum.as_ref().is_some_and(|sum| sum.starts_with("sha256:")), "{greet:?}");
}

#[test]
fn what_rpm_wrote_is_what_is_found() {
    let image = image();
    assert!(image.top().join("var/lib/rpm/rpmdb.sqlite").is_file());
    check(&inventory(&image.rootfs()));
}

#[test]
fn a_damaged_database_is_a_note() {
    let image = image();
    let path = image.top().join("var/lib/rpm/rpmdb.sqlite");
    let whole = std::fs::read(&path).expect("a database");
    for cut in [0, 50, 100, 4096, whole.len() / 2] {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let found = inventory(&image.rootfs());
        assert!(!found.notes.is_empty(), "{cut}");
    }
    // Every page's kind, counts and pointers, one after the other: never a panic, never a hang.
    for at in (16..whole.len()).step_by(whole.len() / 100) {
        let mut damaged = whole.clone();
        damaged[at..].iter_mut().take(24).for_each(|byte| *byte = 0xff);
        std::fs::write(&path, &damaged).expect("written");
        inventory(&image.rootfs());
    }
    std::fs::remove_file(&path).expect("removed");
    image.write("var/lib/rpm/Packages", "");
    let found = inventory(&image.rootfs());
    assert!(found.notes[0].problem.contains("Berkeley DB"), "{:?}", found.notes);
}

#[test]
fn large_tables_with_overflow_pages() {
    let image = Image::new();
    image.write("etc/os-release", "ID=photon\nVERSION_ID=5.0\n");
    image.write("var/lib/rpm/none", "");
    let path = image.top().join("var/lib/rpm/rpmdb.sqlite");
    // A header of one name (tag 1000) and one version, with 9,000 bytes of nothing behind.
    let sql = "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
        INSERT INTO Packages SELECT i, CAST(x'0000000300002340' ||
          x'000003E8000000060000000000000001' || x'000003E9000000060000000500000001' ||
          x'000003EA000000060000000700000001' || CAST(printf('p%03d', i) AS BLOB) || x'00' ||
          x'3100' || x'3200' || zeroblob(9015) AS BLOB) FROM n;";
    let arguments = [path.to_str().expect("a path in ASCII"), sql];
    output("sqlite3", &arguments, Path::new("/"));
    let found = inventory(&image.rootfs());
    assert_eq!(found.notes, []);
    assert_eq!(found.packages.len(), 700);
    assert_eq!(one(&found, Ecosystem::Rpm, "p700").version, "1-2");
}

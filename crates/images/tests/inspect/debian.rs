//! Databases of dpkg and apk.

use std::path::Path;

use dispatch_images::inventory::{Ecosystem, MAX_NOTES, inventory, licence};

use crate::image::{Image, one, output};

#[test]
fn the_machines_packages_are_those_dpkg_lists() {
    let format = "${db:Status-Abbrev}|${Package}|${Version}|${Architecture}|\
                  ${source:Package}|${source:Version}\n";
    let listed = output("dpkg-query", &["-W", "-f", format], Path::new("/"));
    let mut listed: Vec<&str> = listed.lines().filter_map(|l| l.strip_prefix("ii |")).collect();
    let image = Image::of_this_machine();
    let inventory = inventory(&image.rootfs());
    let mut found: Vec<String> = Vec::new();
    for package in &inventory.packages {
        assert_eq!(package.ecosystem, Ecosystem::Deb);
        let source = package.source.as_ref().expect("every Debian package has one");
        let architecture = package.architecture.as_deref().unwrap_or_default();
        found.push(format!(
            "{}|{}|{architecture}|{}|{}",
            package.name, package.version, source.name, source.version
        ));
    }
    found.sort();
    listed.sort();
    assert_eq!(found, listed);
    assert!(found.len() > 100, "{}", found.len());
    assert_eq!(inventory.notes, []);
    let os = inventory.os.as_ref().expect("an os-release");
    let bash = one(&inventory, Ecosystem::Deb, "bash");
    assert!(bash.purl.starts_with(&format!("pkg:deb/{}/bash@", os.id)), "{}", bash.purl);
    assert!(bash.licences.contains(&"GPL-3.0-or-later".to_owned()), "{bash:?}");
    assert!(bash.dependencies.contains(&"libc6".to_owned()), "{bash:?}");
    let understood = |p: &&_| -> bool {
        let package: &dispatch_images::inventory::Package = p;
        package.licences.iter().any(|text| licence::is_expression(text))
    };
    let share = inventory.packages.iter().filter(understood).count() * 100 / found.len();
    assert!(share >= 80, "only {share} % have a licence we understand");
}

#[test]
fn distroless_images_and_removed_packages() {
    let image = Image::new();
    image.write("usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    let removed = "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
    image.write("var/lib/dpkg/status", removed);
    let ssl = "Package: libssl3\nSource: openssl (3.0.11-1)\nVersion: 3.0.11-1+b1\n\
               Architecture: amd64\nDepends: libc6 (>= 2.34), a | b, x:any\n";
    image.write("var/lib/dpkg/status.d/libssl3", ssl);
    image.write("var/lib/dpkg/status.d/libssl3.md5sums", "0 file\n");
    image.write("var/lib/dpkg/status.d/broken", "Package: broken\n\nVersion: 7\n");
    let inventory = inventory(&image.rootfs());
    assert_eq!(inventory.packages.len(), 1, "{inventory:#?}");
    let package = one(&inventory, Ecosystem::Deb, "libssl3");
    assert_eq!(package.purl, "pkg:deb/debian/libssl3@3.0.11-1%2Bb1?arch=amd64&distro=debian-12");
    assert_eq!(package.dependencies, ["a", "libc6", "x"]);
    let source = package.source.as_ref().expect("a source");
    assert_eq!((source.name.as_str(), source.version.as_str()), ("openssl", "3.0.11-1"));
    let notes: Vec<&str> = inventory.notes.iter().map(|note| note.problem.as_str()).collect();
    assert_eq!(notes, ["a package without a name", "a package without a version"]);
}

#[test]
fn alpine_packages_with_what_they_need() {
    let image = Image::new();
    image.write("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n");
    let installed = "C:Q1EyN5AdpAOBJWKMR89mp/C66o+OE=\nP:musl\nV:1.2.4-r1\nA:x86_64\nS:1\nL:MIT\n\
                     o:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                     C:Q1bad\nP:ssl_client\nV:1.36.1-r2\nA:x86_64\nL:GPL-2.0-only\no:busybox\n\
                     m:A B <a@b>\nD:so:libc.musl-x86_64.so.1 !utmps musl>=1\n\n";
    image.write("lib/apk/db/installed", installed);
    let inventory = inventory(&image.rootfs());
    let musl = one(&inventory, Ecosystem::Apk, "musl");
    let sum = "sha1:13237901da4038125628c47cf66a7f0baea8f8e1";
    assert_eq!(musl.checksum.as_deref(), Some(sum));
    assert_eq!(musl.purl, "pkg:apk/alpine/musl@1.2.4-r1?arch=x86_64&distro=alpine-3.18.4");
    let client = one(&inventory, Ecosystem::Apk, "ssl_client");
    assert_eq!(client.dependencies, ["musl"]);
    assert_eq!(client.checksum, None);
    assert_eq!(client.source.as_ref().map(|s| s.name.as_str()), Some("busybox"));
}

#[test]
fn what_is_too_much_is_a_note() {
    let image = Image::new();
    let long = "x".repeat(301);
    let mut status = format!("Package: {long}\nStatus: install ok installed\nVersion: 1\n\n");
    status += "Package: fine\nStatus: install ok installed\nVersion: 1\n\n";
    image.write("var/lib/dpkg/status", &status);
    let found = inventory(&image.rootfs());
    assert_eq!(found.packages.len(), 1);
    assert!(found.notes[0].problem.contains("at most 300 bytes"), "{:?}", found.notes);
    let nameless = "Status: install ok installed\nVersion: 1\n\n".repeat(MAX_NOTES + 50);
    image.write("var/lib/dpkg/status", &nameless);
    for number in 0..MAX_NOTES + 5 {
        image.write(&format!("var/lib/dpkg/status.d/{number}"), "Package: p\n");
    }
    let found = inventory(&image.rootfs());
    assert!(found.notes.len() <= MAX_NOTES + 1);
    let last = format!("more than {MAX_NOTES} notes: the rest is left out");
    assert!(found.notes.iter().any(|note| note.problem == last));
    // A database larger than any real one is not read at all.
    let file = std::fs::File::create(image.top().join("var/lib/dpkg/status")).expect("a file");
    file.set_len(65 << 20).expect("a sparse file");
    let found = inventory(&image.rootfs());
    assert!(found.notes.iter().any(|note| note.location == "/var/lib/dpkg/status"));
}

//! Packages of languages, wherever they lie.

use std::io::Write;
use std::path::Path;

use dispatch_images::inventory::{Ecosystem, inventory};
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::image::{Image, one, output};

fn jar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(content).expect("its content");
    }
    zip.finish().expect("an archive").into_inner()
}

#[test]
fn every_language_in_its_own_metadata() {
    let image = Image::new();
    image.write(
        "usr/local/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nAuthor: K\nLicense: Apache 2.0\n\
         Requires-Dist: urllib3 (<3,>=1.21.1)\n\
         Requires-Dist: PySocks ; extra == 'socks'\n\nText: x",
    );
    image.write(
        "function/node_modules/@scope/a/package.json",
        r#"{"name":"@scope/a","version":"1.0.0","license":"MIT","dependencies":{"b":"*"}}"#,
    );
    image.write(
        "function/node_modules/@scope/a/node_modules/b/package.json",
        r#"{"name":"b","version":"2.0.0","licenses":[{"type":"ISC"}],"author":{"name":"B"}}"#,
    );
    image.write(
        "var/lib/gems/3.1.0/specifications/rack-2.2.4.gemspec",
        "# -*- encoding: utf-8 -*-\n# stub: rack 2.2.4 ruby lib\n\nGem::Specification.new do |s|\n\
         s.name = \"rack\".freeze\n s.licenses = [\"MIT\".freeze]\n s.authors = [\"L N\".freeze]\n\
         s.add_runtime_dependency(%q<minitest>.freeze, [\"~> 5.0\"])\nend\n",
    );
    image.write(
        "app/vendor/composer/installed.json",
        r#"{"packages":[{"name":"monolog/monolog","version":"v3.4.0","license":["MIT"],
            "dist":{"shasum":"e2392369686d420ca32df3803de28b5d6f76867d"},
            "require":{"php":">=8.1","psr/log":"^3"}}]}"#,
    );
    image.write(
        "usr/local/share/powershell/Modules/Pester/5.5.0/Pester.psd1",
        "\u{feff}@{\r\n  ModuleVersion = '5.5.0'\r\n  Author = 'Pester Team'\r\n}",
    );
    image.write("usr/local/include/python3.11/patchlevel.h", "#define PY_VERSION \"3.11.4\"\n");
    let found = inventory(&image.rootfs());
    assert_eq!(found.notes, []);
    assert_eq!(found.packages.len(), 7, "{found:#?}");
    let requests = one(&found, Ecosystem::Pypi, "requests");
    assert_eq!(requests.licences, ["Apache-2.0"]);
    assert_eq!(requests.dependencies, ["urllib3"]);
    let scoped = one(&found, Ecosystem::Npm, "@scope/a");
    assert_eq!(scoped.purl, "pkg:npm/%40scope/a@1.0.0");
    assert_eq!(one(&found, Ecosystem::Npm, "b").licences, ["ISC"]);
    let rack = one(&found, Ecosystem::Gem, "rack");
    assert_eq!((rack.version.as_str(), rack.supplier.as_deref()), ("2.2.4", Some("L N")));
    assert_eq!((rack.licences[0].as_str(), rack.dependencies[0].as_str()), ("MIT", "minitest"));
    let php = one(&found, Ecosystem::Composer, "monolog/monolog");
    assert_eq!((php.version.as_str(), php.dependencies[0].as_str()), ("3.4.0", "psr/log"));
    assert_eq!(one(&found, Ecosystem::Powershell, "Pester").version, "5.5.0");
    let python = one(&found, Ecosystem::Generic, "python");
    assert_eq!(python.purl, "pkg:generic/python@3.11.4");
}

#[test]
fn java_archives_and_archives_in_them() {
    let inner = jar(&[
        ("META-INF/maven/g/a/pom.properties", b"groupId=g\nartifactId=a\nversion=1.0\n"),
        ("META-INF/maven/g/a/pom.xml", b"<licenses><license><name>MIT</name></license></licenses>"),
    ]);
    let named = jar(&[("META-INF/MANIFEST.MF", b"Implementation-Version: 9\r\n")]);
    let fat = jar(&[
        ("META-INF/MANIFEST.MF", b"Main-Class: X\r\n"),
        ("BOOT-INF/lib/a.jar", &inner),
        ("BOOT-INF/lib/log4j-core-2.14.1.jar", &named),
        ("BOOT-INF/lib/broken.jar", b"PK"),
    ]);
    let image = Image::new();
    image.write("opt/app/service.jar", fat);
    let found = inventory(&image.rootfs());
    let maven = one(&found, Ecosystem::Maven, "g:a");
    assert_eq!(maven.location, "/opt/app/service.jar!/BOOT-INF/lib/a.jar");
    assert_eq!(maven.licences, ["MIT"]);
    assert_eq!(maven.purl, "pkg:maven/g/a@1.0");
    assert_eq!(one(&found, Ecosystem::Maven, "log4j-core").version, "2.14.1");
    assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    assert_eq!(found.notes[0].location, "/opt/app/service.jar!/BOOT-INF/lib/broken.jar");
}

#[test]
fn upper_layers_replace_and_remove_packages() {
    let json = |version: &str| format!(r#"{{"name":"x","version":"{version}"}}"#);
    let mut image = Image::new();
    image.write("app/node_modules/x/package.json", json("1.0.0"));
    image.write("opt/node_modules/y/package.json", r#"{"name":"y","version":"1.0.0"}"#);
    image.write("srv/node_modules/z/package.json", r#"{"name":"z","version":"1.0.0"}"#);
    image.write("dev/node_modules/d/package.json", r#"{"name":"d","version":"1.0.0"}"#);
    image.add_layer();
    image.write("app/node_modules/x/package.json", json("2.0.0"));
    image.write("opt/node_modules/new", "");
    xattr::set(image.top().join("opt/node_modules"), "user.overlay.opaque", b"y").expect("set");
    image.write("srv/node_modules", "a file where a directory was");
    let found = inventory(&image.rootfs());
    assert_eq!(one(&found, Ecosystem::Npm, "x").version, "2.0.0");
    assert_eq!(found.packages.len(), 1, "{found:#?}");
}

#[test]
fn broken_metadata_is_a_note_each() {
    let image = Image::new();
    image.write("a/node_modules/x/package.json", "{");
    image.write("a/node_modules/y/package.json", r#"{"name":7,"version":"1"}"#);
    image.write("a/big.dist-info/METADATA", vec![b'x'; (8 << 20) + 1]);
    image.write("a/empty.dist-info/METADATA", "");
    image.write("a/vendor/composer/installed.json", r#"{"packages":"x"}"#);
    image.write("a/x.jar", "no zip");
    image.write("a/specifications/x.gemspec", [0xff, 0xfe, 0x00]);
    image.write("a/node_modules/good/package.json", r#"{"name":"good","version":"1.0.0"}"#);
    let found = inventory(&image.rootfs());
    assert_eq!(found.packages.len(), 1, "{found:#?}");
    assert_eq!(found.notes.len(), 7, "{:#?}", found.notes);
}

#[test]
fn what_pip_lists_is_what_is_found() {
    let image = Image::new();
    let venv = image.top().join("venv").display().to_string();
    output("python3", &["-m", "venv", &venv], Path::new("/"));
    let pip = format!("{venv}/bin/pip");
    let listed = output(&pip, &["list", "--format=freeze"], Path::new("/"));
    let found = inventory(&image.rootfs());
    for line in listed.lines() {
        let (name, version) = line.split_once("==").expect("name==version");
        assert_eq!(one(&found, Ecosystem::Pypi, name).version, version);
    }
    assert!(listed.contains("pip=="), "{listed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever lies where metadata should be: packages or notes, and never a panic.
    #[test]
    fn garbage_everywhere(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "([A-Za-z]{1,8}[:=] ?[ -~]{0,20}\\n){0,8}",
    ) {
        let image = Image::new();
        let json = format!("{{\"name\": \"x\", \"version\": {text:?}}}");
        for content in [bytes.as_slice(), text.as_bytes(), json.as_bytes()] {
            for path in [
                "etc/os-release",
                "var/lib/dpkg/status",
                "var/lib/dpkg/status.d/x",
                "lib/apk/db/installed",
                "var/lib/rpm/rpmdb.sqlite",
                "usr/lib/sysimage/rpm/Packages.db",
                "a/x.dist-info/METADATA",
                "a/node_modules/x/package.json",
                "a/specifications/x.gemspec",
                "a/x.jar",
                "a/vendor/composer/installed.json",
                "a/X/X.psd1",
                "a/include/node/node_version.h",
            ] {
                image.write(path, content);
            }
            let found = inventory(&image.rootfs());
            let plausible = |name: &str| !name.is_empty() && !name.contains(char::is_control);
            let mut all = found.packages.iter();
            prop_assert!(all.all(|p| plausible(&p.name) && plausible(&p.version)));
        }
    }
}

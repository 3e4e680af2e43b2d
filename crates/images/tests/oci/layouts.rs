//! Images on disk: what umoci and skopeo write is read, and they read what we write.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dispatch_images::base::Source;
use dispatch_images::manifest::{Edits, pack_layer};
use dispatch_images::registry::Credentials;
use dispatch_images::{Base, Digest, Error, Image, layout};

use super::bed::{Bed, documents, run, tar};

async fn pull(bed: &Bed, text: &str) -> Result<Image, Error> {
    let source = Source::parse(text, &[bed.directory.path().to_owned()])?;
    let registries = bed.registries("none:1");
    let image = source.pull(&registries, &Credentials::Nobody, &bed.content).await?;
    let now = source.resolve(&registries, &Credentials::Nobody).await?;
    assert_eq!(now, image.digest, "what a look says is what is fetched");
    Ok(image)
}

async fn refused(bed: &Bed, text: &str) -> String {
    match pull(bed, text).await {
        Ok(image) => panic!("{text} was taken: {}", image.digest),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn each_form_on_disk_is_the_same_image() {
    let bed = Bed::new();
    let from = format!("oci:{}:base", bed.layout().display());
    let (packed, saved) = (bed.path("packed.tar"), bed.path("saved.tar"));
    let (packed, saved) = (packed.display(), saved.display());
    run("skopeo", &["copy", &from, &format!("oci-archive:{packed}:base")]);
    run("skopeo", &["copy", &from, &format!("docker-archive:{saved}:base:latest")]);
    let folder = pull(&bed, &from).await.unwrap();
    assert_eq!(pull(&bed, &format!("oci-archive:{packed}")).await.unwrap().digest, folder.digest);
    let saved = pull(&bed, &format!("docker-archive:{saved}")).await.unwrap();
    assert_ne!(saved.digest, folder.digest, "its layers are not compressed");
    assert_eq!(saved.diff_ids(), folder.diff_ids());
    let base = Base::look(saved, &bed.content).await.unwrap();
    assert_eq!((base.os.id.as_str(), base.os.version_id.as_str()), ("alpine", "3.20"));
}

#[tokio::test]
async fn what_is_written_is_read_by_others_and_by_us() {
    let bed = Bed::new();
    let base = pull(&bed, &format!("oci:{}:base", bed.layout().display())).await.unwrap();
    let source = bed.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("hello"), "hello").unwrap();
    let layer = pack_layer(&bed.content, &source, Path::new("opt"), "source").await.unwrap();
    let image = base.extend(&bed.content, &[layer], &Edits::default()).await.unwrap();
    let out = bed.path("out");
    layout::write(&bed.content, &base, &out, "moves").await.unwrap();
    layout::write(&bed.content, &base, &out, "stays").await.unwrap();
    layout::write(&bed.content, &image, &out, "moves").await.unwrap();

    let at = format!("{}:moves", out.display());
    let inspected = run("skopeo", &["inspect", &format!("oci:{at}")]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Digest"], image.digest.as_str());
    let bundle = bed.path("bundle");
    run("umoci", &["unpack", "--rootless", "--image", &at, &bundle.display().to_string()]);
    assert_eq!(std::fs::read_to_string(bundle.join("rootfs/opt/hello")).unwrap(), "hello");

    let other = Bed::new();
    let folders = [bed.directory.path().to_owned()];
    for (tag, digest) in [("moves", &image.digest), ("stays", &base.digest)] {
        let source = Source::parse(&format!("oci:{}:{tag}", out.display()), &folders).unwrap();
        let registries = other.registries("none:1");
        let same = source.pull(&registries, &Credentials::Nobody, &other.content).await.unwrap();
        assert_eq!(same.digest, *digest);
        same.unpack(&other.content).await.unwrap();
    }
    // Pinned, it is that image, wherever the tag leads; and another is not taken for it.
    let moved = Source::parse(&format!("oci:{at}"), &folders).unwrap();
    let registries = other.registries("none:1");
    let pinned = moved.at(&base.digest).resolve(&registries, &Credentials::Nobody).await;
    assert_eq!(pinned.unwrap(), base.digest);
    let gone = moved.at(&Digest::of(b"gone")).resolve(&registries, &Credentials::Nobody).await;
    assert!(gone.unwrap_err().to_string().contains("is not in it"));
}

#[tokio::test]
async fn what_is_missing_or_not_clear_is_said() {
    let bed = Bed::new();
    let at = bed.layout();
    let base = pull(&bed, &format!("oci:{}", at.display())).await.unwrap();
    layout::write(&bed.content, &base, &at, "second").await.unwrap();
    let at = at.display();
    let several = refused(&bed, &format!("oci:{at}")).await;
    assert!(several.contains("several images") && several.contains("second"), "{several}");
    let other = refused(&bed, &format!("oci:{at}:third")).await;
    assert!(other.contains("no tag \"third\"") && other.contains("base"), "{other}");
    let nothing = refused(&bed, &format!("oci:{}", bed.path("nothing").display())).await;
    assert!(nothing.contains("there is nothing"), "{nothing}");
    std::fs::write(bed.path("text"), "text").unwrap();
    let text = refused(&bed, &format!("oci-archive:{}", bed.path("text").display())).await;
    assert!(text.contains("no tar archive"), "{text}");
    std::fs::write(bed.path("gz"), b"\x1f\x8b\x08").unwrap();
    let packed = refused(&bed, &format!("docker-archive:{}", bed.path("gz").display())).await;
    assert!(packed.contains("decompress it first"), "{packed}");
}

/// A layout by hand, with one layer of which everything may be wrong.
fn layout_of(bed: &Bed, name: &str, change: impl Fn(&Path, &Digest)) -> PathBuf {
    let at = bed.path(name);
    let blobs = at.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let layer = tar(&[("a", tar::EntryType::Regular, "x")]);
    let digest = Digest::of(&layer);
    let (manifest, config) = documents(&[(digest.clone(), layer.len() as u64, digest.clone())]);
    for bytes in [&layer, &manifest, &config] {
        std::fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
    }
    std::fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": Digest::of(&manifest), "size": manifest.len()}]});
    std::fs::write(at.join("index.json"), index.to_string()).unwrap();
    change(&at, &digest);
    at
}

#[tokio::test]
async fn a_layout_that_means_harm_is_refused() {
    let bed = Bed::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let blob = |at: &Path, layer: &Digest| at.join("blobs/sha256").join(layer.hex());
    let cases: &[(&str, &dyn Fn(&Path, &Digest), &str)] = &[
        ("other", &|at, layer| std::fs::write(blob(at, layer), "other").unwrap(), "announced"),
        ("missing", &|at, layer| std::fs::remove_file(blob(at, layer)).unwrap(), "is not in it"),
        (
            "version",
            &|at, _| {
                std::fs::write(at.join("oci-layout"), "{\"imageLayoutVersion\":\"2\"}").unwrap()
            },
            "version",
        ),
        ("index", &|at, _| std::fs::write(at.join("index.json"), "[]").unwrap(), "no index"),
        (
            "long",
            &|at, _| std::fs::write(at.join("index.json"), " ".repeat(5 << 20)).unwrap(),
            "more than",
        ),
        (
            "link",
            &|at, layer| {
                std::fs::remove_file(blob(at, layer)).unwrap();
                symlink(outside.path().join("secret"), blob(at, layer)).unwrap();
            },
            "",
        ),
        (
            "pipe",
            &|at, layer| {
                std::fs::remove_file(blob(at, layer)).unwrap();
                run("mkfifo", &[&blob(at, layer).display().to_string()]);
            },
            "no file",
        ),
    ];
    pull(&bed, &format!("oci:{}", layout_of(&bed, "whole", |_, _| {}).display())).await.unwrap();
    for (name, change, why) in cases {
        // What came from the whole one must not make up for what is wrong here.
        let other = Bed::new();
        let at = layout_of(&other, name, change);
        let error = refused(&other, &format!("oci:{}", at.display())).await;
        assert!(error.contains(why), "{name}: {error}");
    }
    symlink(outside.path(), bed.path("away")).unwrap();
    let away = refused(&bed, &format!("oci:{}", bed.path("away").display())).await;
    assert!(away.contains("leads out of the folder"), "{away}");
}

#[tokio::test]
async fn an_archive_that_means_harm_is_refused() {
    use tar::EntryType::{Regular, Symlink};
    let bed = Bed::new();
    let config =
        r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let one = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":[]}]"#;
    let two = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":[]},
        {"Config":"c.json","RepoTags":["b:1"],"Layers":[]}]"#;
    let more = r#"[{"Config":"c.json","Layers":["l/layer.tar"]}]"#;
    let saved = bed.path("saved.tar");
    let text = format!("docker-archive:{}", saved.display());
    let write = |manifest: &str, more: &[(&str, tar::EntryType, &str)]| {
        let entries = [&[("manifest.json", Regular, manifest)], more].concat();
        std::fs::write(&saved, tar(&entries)).unwrap();
    };
    write(one, &[("c.json", Regular, config)]);
    pull(&bed, &text).await.unwrap();
    // As older ones have it: a link to what another image has too.
    write(one, &[("c.json", Symlink, "x/../d.json"), ("d.json", Regular, config)]);
    pull(&bed, &text).await.unwrap();
    for (manifest, entries, why) in [
        (two, vec![("c.json", Regular, config)], "2 images"),
        (more, vec![("c.json", Regular, config)], "1 layers"),
        (one, vec![("c.json", Symlink, "c.json")], "c.json is not in it"),
        (one, vec![("c.json", Symlink, "/etc/passwd")], "c.json is not in it"),
        ("{}", vec![], "docker save"),
    ] {
        write(manifest, &entries);
        let error = refused(&bed, &text).await;
        assert!(error.contains(why), "{error}");
    }
}

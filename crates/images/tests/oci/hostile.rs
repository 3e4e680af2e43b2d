//! Layers that mean harm, or are not what they say.

use std::os::unix::fs::PermissionsExt as _;

use dispatch_images::layer::{Limits, Refusal, unpack};
use dispatch_images::{Digest, Error, Image};
use tar::EntryType;
use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};

use super::bed::{Bed, documents, limits, tar};

type Entries<'a> = &'a [(&'a str, tar::EntryType, &'a str)];

fn take(bed: &Bed, archive: &[u8], limits: &Limits) -> Result<(), String> {
    let (from, to) = (bed.path("hostile.tar"), bed.path("to"));
    let _ = std::fs::remove_dir_all(&to);
    std::fs::write(&from, archive).unwrap();
    let file = std::fs::File::open(&from).unwrap();
    unpack(file, &to, limits).map(drop).map_err(|refusal| match refusal {
        Refusal::Rule(rule) => rule,
        Refusal::Io(error) => error.to_string(),
    })
}

#[test]
fn nothing_is_written_outside() {
    let bed = Bed::new();
    let outside = bed.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let away = outside.display().to_string();
    let up = "../../outside/x";
    let cases: &[(Entries<'_>, bool)] = &[
        (&[(up, Regular, "x")], false),
        (&[("a/../../outside/x", Regular, "x")], false),
        // Absolute means the root of the layer.
        (&[("/x", Regular, "x")], true),
        // Links are the image's own; what goes through them stays in the image.
        (&[("l", Symlink, &away), ("l/x", Regular, "x")], true),
        (&[("l", Symlink, "../outside"), ("l/x", Regular, "x")], true),
        (&[("l", Symlink, &away), ("l", Directory, ""), ("l/x", Regular, "x")], true),
        (&[("h", Link, "/etc/passwd")], false),
        (&[("h", Link, "../../../../etc/passwd")], false),
        (&[("l", Symlink, "/etc"), ("h", Link, "l/passwd")], false),
        (&[("f", Regular, "x"), ("f/x", Regular, "x")], false),
        (&[(".wh...", Regular, "")], false),
        (&[(".wh..wh..opq", Regular, "")], false),
    ];
    for (entries, taken) in cases {
        let result = take(&bed, &tar(entries), &limits());
        // A link out of the layer leads to where nothing is; then nothing is made there either.
        if !taken {
            assert!(result.is_err(), "{entries:?}");
        }
        let left: Vec<_> = std::fs::read_dir(&outside).unwrap().collect();
        assert!(left.is_empty(), "{entries:?} wrote outside: {left:?}");
    }
}

#[test]
fn devices_and_rights_to_be_somebody_else_are_left_out() {
    let bed = Bed::new();
    let entries: Entries<'_> =
        &[("c", Char, ""), ("b", Block, ""), ("p", Fifo, ""), ("su", Regular, "x")];
    take(&bed, &tar(entries), &limits()).unwrap();
    let names: Vec<_> = std::fs::read_dir(bed.path("to")).unwrap().map(|e| e.unwrap()).collect();
    assert_eq!(names.len(), 1);
    let mode = names[0].metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn limits_end_it() {
    let bed = Bed::new();
    let few = Limits { max_entries: 2, max_bytes: 10, ..limits() };
    let three = tar(&[("a", Regular, ""), ("b", Regular, ""), ("c", Regular, "")]);
    assert!(take(&bed, &three, &few).unwrap_err().contains("2 entries"));
    let large = tar(&[("a", Regular, "12345678901")]);
    assert!(take(&bed, &large, &few).unwrap_err().contains("10 bytes"));
    let long = tar(&[(&"d/".repeat(49), Directory, "")]);
    take(&bed, &long, &limits()).unwrap();
    // A bomb: a gigabyte of zeros in a megabyte, behind the last entry.
    let mut bomb = tar(&[("a", Regular, "x")]);
    bomb.extend(std::iter::repeat_n(0, 200 << 20));
    let small = Limits { max_bytes: 1 << 20, max_entries: 10, ..limits() };
    assert!(take(&bed, &bomb, &small).unwrap_err().contains("more than"));
}

#[test]
fn a_sparse_file_counts_as_what_it_unpacks_to() {
    let bed = Bed::new();
    let sparse = bed.path("sparse");
    std::fs::File::create(&sparse).unwrap().set_len(10 << 30).unwrap();
    let (archive, at) = (bed.path("sparse.tar"), bed.directory.path().display().to_string());
    let archive_text = archive.display().to_string();
    super::bed::run("tar", &["--sparse", "-C", &at, "-cf", &archive_text, "sparse"]);
    assert!(archive.metadata().unwrap().len() < 1 << 20);
    let bytes = std::fs::read(&archive).unwrap();
    assert!(take(&bed, &bytes, &limits()).unwrap_err().contains("bytes together"));
}

#[test]
fn links_make_no_bottomless_directories() {
    let bed = Bed::new();
    let mut archive = tar::Builder::new(Vec::new());
    let deep = "deep/".repeat(600);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(0);
    for round in 0..5 {
        let (above, link) = (format!("l{round}"), format!("l{}", round + 1));
        header.set_entry_type(Directory);
        archive.append_data(&mut header, format!("{above}/{deep}"), std::io::empty()).unwrap();
        header.set_entry_type(Symlink);
        archive.append_link(&mut header, link, format!("{above}/{deep}")).unwrap();
    }
    let refused = take(&bed, &archive.into_inner().unwrap(), &limits()).unwrap_err();
    assert!(refused.contains("deeper than paths go"), "{refused}");
    std::fs::remove_dir_all(bed.path("to")).unwrap();
}

#[tokio::test]
async fn limits_are_of_all_layers_of_an_image() {
    let directory = tempfile::tempdir().unwrap();
    let few = Limits { max_entries: 5, max_bytes: 100, ..limits() };
    let content = dispatch_images::Content::open(directory.path(), few).unwrap();
    let layer = async |entries: Entries<'_>| {
        let archive = tar(entries);
        let digest = content.put(&archive).await.unwrap();
        (digest.clone(), archive.len() as u64, digest)
    };
    let image = async |layers: &[(Digest, u64, Digest)]| {
        let (manifest, config) = documents(layers);
        content.put(&config).await.unwrap();
        let digest = content.put(&manifest).await.unwrap();
        Image::load(&content, &digest).await.unwrap()
    };
    let half = "x".repeat(50);
    let one = layer(&[("a", Regular, &half)]).await;
    let two = layer(&[("b", Regular, &half)]).await;
    let byte = layer(&[("c", Regular, "x")]).await;
    let many = layer(&[("d", Directory, ""), ("e", Directory, ""), ("f", Directory, "")]).await;
    image(&[one.clone(), two.clone(), many.clone()]).await.unpack(&content).await.unwrap();
    // Also when the layers are there already, from images that may have them.
    image(&[byte.clone()]).await.unpack(&content).await.unwrap();
    for _ in 0..2 {
        let large = image(&[one.clone(), two.clone(), byte.clone()]).await;
        let refused = large.unpack(&content).await.unwrap_err().to_string();
        assert!(refused.contains("more than 100 bytes together"), "{refused}");
    }
    let full = image(&[many.clone(), one, byte.clone(), byte]).await;
    let refused = full.unpack(&content).await.unwrap_err().to_string();
    assert!(refused.contains("more than 5 entries"), "{refused}");
}

#[test]
fn headers_are_not_taken_without_end() {
    let bed = Bed::new();
    let zeros = "0".repeat(3 << 20);
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let archive = tar(&[("a", kind, &zeros), ("b", Regular, "")]);
        let refused = take(&bed, &archive, &limits()).unwrap_err();
        assert!(refused.contains("headers of an entry"), "{kind:?}: {refused}");
    }
    // What an entry holds is no header, also where nobody wants it.
    take(&bed, &tar(&[("p", Fifo, &zeros), ("b", Regular, "")]), &limits()).unwrap();
}

#[test]
fn half_a_layer_is_no_layer() {
    let bed = Bed::new();
    let whole = tar(&[("a", Regular, &"x".repeat(4096))]);
    assert!(take(&bed, &whole[..2048], &limits()).is_err());
    assert!(take(&bed, b"\x1f\x8bnonsense", &limits()).is_err());
    assert!(take(&bed, &[0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3], &limits()).is_err());
}

#[tokio::test]
async fn a_layer_must_be_what_its_image_says() {
    let bed = Bed::new();
    let archive = tar(&[("a", Regular, "x")]);
    let blob = bed.content.put(&archive).await.unwrap();
    let other = Digest::of(b"something else");
    let (manifest, config) = documents(&[(blob, archive.len() as u64, other)]);
    bed.content.put(&config).await.unwrap();
    let digest = bed.content.put(&manifest).await.unwrap();
    let image = Image::load(&bed.content, &digest).await.unwrap();
    let refused = image.unpack(&bed.content).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused(t) if t.contains("its image says")), "{refused}");
    let left = std::fs::read_dir(bed.path("content/layers")).unwrap().count();
    assert_eq!(left, 0, "what was unpacked in vain is gone");
}

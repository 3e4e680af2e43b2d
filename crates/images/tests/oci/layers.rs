//! Layers are the same bytes whenever they are made, and come back as they were.

use std::path::Path;

use dispatch_images::layer::{pack, unpack};
use dispatch_images::manifest::pack_layer;
use dispatch_images::{Digest, Rootfs};
use tar::EntryType::{Directory, Regular, Symlink};

use super::bed::{Bed, limits, tar};

fn fill(directory: &Path, order: &[&str]) {
    for name in order {
        let place = directory.join(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, name).unwrap();
    }
    std::os::unix::fs::symlink("/etc/x", directory.join("link")).unwrap();
    std::fs::hard_link(directory.join("a/one"), directory.join("same")).unwrap();
}

fn packed(directory: &Path) -> (Digest, Vec<u8>) {
    let mut bytes = Vec::new();
    let packed = pack(directory, Path::new("opt/x"), &mut bytes).unwrap();
    (packed.diff_id, bytes)
}

#[test]
fn the_same_content_is_the_same_layer() {
    let bed = Bed::new();
    let (one, two) = (bed.path("one"), bed.path("elsewhere/two"));
    fill(&one, &["a/one", "a/two", "b"]);
    fill(&two, &["b", "a/two", "a/one"]);
    let old = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    std::fs::File::open(two.join("b")).unwrap().set_times(old).unwrap();
    assert_eq!(packed(&one), packed(&two));
    std::fs::write(two.join("b"), "other").unwrap();
    assert_ne!(packed(&one).0, packed(&two).0);
}

#[tokio::test]
async fn what_is_packed_unpacks_to_the_same() {
    let bed = Bed::new();
    let (lower, upper) = (bed.path("lower"), bed.path("upper"));
    std::fs::create_dir_all(lower.join("dir/deep")).unwrap();
    std::fs::write(lower.join("dir/gone"), "x").unwrap();
    std::fs::write(lower.join("dir/deep/hidden"), "x").unwrap();
    // As an overlay leaves it: one name taken away, one directory that hides the one below.
    let archive = tar(&[
        ("dir/.wh.gone", Regular, ""),
        ("dir/deep/", Directory, ""),
        ("dir/deep/.wh..wh..opq", Regular, ""),
        ("dir/deep/new", Regular, "new"),
        ("dir/link", Symlink, "../../../../etc/passwd"),
    ]);
    std::fs::write(bed.path("tar"), &archive).unwrap();
    let file = std::fs::File::open(bed.path("tar")).unwrap();
    let unpacked = unpack(file, &upper, &limits()).unwrap();
    assert_eq!(unpacked.diff_id, Digest::of(&archive));
    let layer = pack_layer(&bed.content, &upper, Path::new(""), "test").await.unwrap();
    let again = bed.content.unpack(&layer.digest, &layer.diff_id).await.unwrap();
    for top in [upper, again] {
        let rootfs = Rootfs::new(vec![lower.clone(), top]);
        assert_eq!(rootfs.list("/dir").unwrap(), ["deep", "link"]);
        assert_eq!(rootfs.list("/dir/deep").unwrap(), ["new"]);
        assert_eq!(rootfs.find("/dir/link").unwrap(), None);
    }
}

#[tokio::test]
async fn gzip_zstd_and_plain_layers_are_taken() {
    use std::io::Write as _;
    let bed = Bed::new();
    let archive = tar(&[("etc/hello", Regular, "hello")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive).unwrap();
    let zstd = zstd::encode_all(archive.as_slice(), 1).unwrap();
    for (n, bytes) in [archive.clone(), gzip.finish().unwrap(), zstd].into_iter().enumerate() {
        std::fs::write(bed.path("layer"), bytes).unwrap();
        let file = std::fs::File::open(bed.path("layer")).unwrap();
        let to = bed.path(&format!("to{n}"));
        assert_eq!(unpack(file, &to, &limits()).unwrap().diff_id, Digest::of(&archive));
        assert_eq!(std::fs::read_to_string(to.join("etc/hello")).unwrap(), "hello");
    }
}

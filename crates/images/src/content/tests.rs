//! What is there is whole, and stays while it is needed.

use std::time::Duration;

use super::*;
use crate::Image;
use crate::manifest::{Edits, pack_layer};

fn content(directory: &Path) -> Content {
    let limits = Limits { max_bytes: 1 << 20, max_entries: 100, owner: None };
    Content::open(&directory.join("content"), limits).expect("a store")
}

async fn image(content: &Content, directory: &Path) -> Image {
    let source = directory.join("source");
    std::fs::create_dir_all(&source).expect("a directory");
    std::fs::write(source.join("file"), "text").expect("a file");
    let layer = pack_layer(content, &source, Path::new(""), "test").await.expect("a layer");
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config_digest = content.put(config).await.expect("stored");
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json",
        "digest":"{config_digest}","size":{}}},"layers":[]}}"#,
        config.len()
    );
    let digest = content.put(&manifest).await.expect("stored");
    let empty = Image::load(content, &digest).await.expect("an image");
    empty.extend(content, &[layer], &Edits::default()).await.expect("an image")
}

#[tokio::test]
async fn what_was_left_half_written_is_gone_after_a_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = content(directory.path());
    let mut writer = first.writer().expect("a writer");
    writer.write(b"half").expect("written");
    std::mem::forget(writer);
    std::mem::forget(first.scratch().expect("a directory"));
    let new = directory.path().join("content/new");
    assert_eq!(std::fs::read_dir(&new).expect("a list").count(), 2);
    drop(first);
    content(directory.path());
    assert_eq!(std::fs::read_dir(&new).expect("a list").count(), 0);
}

#[tokio::test]
async fn a_blob_is_what_its_name_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let content = content(directory.path());
    let digest = content.put(b"text").await.expect("stored");
    assert_eq!(digest, Digest::of(b"text"));
    assert_eq!(content.document(&digest).await.expect("read"), b"text");
    let mut writer = content.writer().expect("a writer");
    writer.write(b"text").expect("written");
    let other = Digest::of(b"other");
    assert!(writer.finish(Some((&other, 4))).await.is_err());
    std::fs::write(content.blob_path(&digest), "changed").expect("written");
    assert!(content.document(&digest).await.is_err());
    std::fs::write(content.blob_path(&digest), vec![0; MAX_DOCUMENT as usize + 1]).expect("x");
    assert!(content.document(&digest).await.is_err());
}

#[tokio::test]
async fn what_an_image_or_a_deployment_needs_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let content = content(directory.path());
    let image = image(&content, directory.path()).await;
    image.unpack(&content).await.expect("unpacked");
    let kept = [image.digest.clone()];
    let pruned = content.prune(&kept, Duration::ZERO, false).await.expect("pruned");
    // The documents of the image it was made from.
    assert_eq!((pruned.blobs, pruned.layers), (2, 0));
    content.hold(&image.digest);
    assert_eq!(content.prune(&[], Duration::ZERO, false).await.expect("pruned").layers, 0);
    content.release(&image.digest);
    let young = content.prune(&[], Duration::from_secs(60), false).await.expect("pruned");
    assert_eq!(young, Pruned::default());
    let would = content.prune(&[], Duration::ZERO, true).await.expect("pruned");
    assert_eq!((would.blobs, would.layers), (3, 1));
    assert_eq!(content.prune(&[], Duration::ZERO, false).await.expect("pruned"), would);
    assert!(Image::load(&content, &image.digest).await.is_err());
    let left = std::fs::read_dir(directory.path().join("content/layers")).expect("a list");
    assert_eq!(left.count(), 0);
}

//! Archives of people who mean harm, and of people who do not.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;

type Tar = Builder<GzEncoder<Vec<u8>>>;

fn archive(fill: impl FnOnce(&mut Tar)) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    fill(&mut builder);
    builder.into_inner().unwrap().finish().unwrap()
}

/// Adds an entry whose name is written as it is, which the builder would refuse.
fn entry(tar: &mut Tar, name: &str, kind: EntryType, link: &str, body: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(body.len() as u64);
    header.set_cksum();
    tar.append(&header, body).unwrap();
}

fn file(name: &str) -> Vec<u8> {
    archive(|tar| entry(tar, name, EntryType::Regular, "", b"x"))
}

fn one(kind: EntryType, name: &str, link: &str) -> Vec<u8> {
    archive(|tar| entry(tar, name, kind, link, b""))
}

/// Unpacks, expects a refusal that says these words, and that nothing is left.
fn refused(bytes: &[u8], limits: &Limits, words: &str) {
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("a");
    let error = unpack(bytes, &destination, limits).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "{words}");
}

#[test]
fn unpacks_files_folders_and_links_inside() {
    let bytes = archive(|tar| {
        entry(tar, "./a/b.py", EntryType::Regular, "", b"text");
        entry(tar, "a/link", EntryType::Symlink, "../a/b.py", b"");
        entry(tar, "empty/", EntryType::Directory, "", b"");
    });
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("a");
    unpack(&bytes, &destination, &Limits::default()).unwrap();
    assert_eq!(std::fs::read_to_string(destination.join("a/link")).unwrap(), "text");
    assert!(destination.join("empty").is_dir());
}

#[test]
fn names_that_leave_are_refused() {
    let limits = Limits::default();
    refused(&file("../x"), &limits, "has '..' in its name");
    refused(&file("a/../../x"), &limits, "has '..' in its name");
    refused(&file("/etc/x"), &limits, "has an absolute name");
}

#[test]
fn links_that_leave_are_refused() {
    let limits = Limits::default();
    refused(&one(EntryType::Symlink, "a", "/etc/passwd"), &limits, "out of the archive");
    refused(&one(EntryType::Symlink, "a/b", "../../x"), &limits, "out of the archive");
    refused(&one(EntryType::Link, "a", "b"), &limits, "hard link");
}

#[test]
fn nothing_is_written_through_a_link() {
    let bytes = archive(|tar| {
        entry(tar, "real/x", EntryType::Regular, "", b"1");
        entry(tar, "a", EntryType::Symlink, "real", b"");
        entry(tar, "a/x", EntryType::Regular, "", b"2");
    });
    let place = tempfile::tempdir().unwrap();
    assert!(unpack(&bytes, &place.path().join("a"), &Limits::default()).is_err());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn devices_and_fifos_are_refused() {
    let limits = Limits::default();
    refused(&one(EntryType::Char, "a", ""), &limits, "device");
    refused(&one(EntryType::Block, "a", ""), &limits, "device");
    refused(&one(EntryType::Fifo, "a", ""), &limits, "fifo");
}

#[test]
fn a_million_entries_are_refused_early() {
    let bytes = archive(|tar| {
        for _ in 0..1_000_000 {
            entry(tar, "a", EntryType::Regular, "", b"");
        }
    });
    refused(&bytes, &Limits::default(), "10000 entries are allowed");
}

#[test]
fn bombs_are_refused() {
    let zeros = |mib: usize| {
        let body = vec![0; mib << 20];
        archive(|tar| entry(tar, "bomb", EntryType::Regular, "", &body))
    };
    refused(&zeros(16), &Limits::default(), "200 times its packed size");
    let limits = Limits { max_bytes: 1 << 20, ..Limits::default() };
    refused(&zeros(2), &limits, "over 1048576 unpacked bytes");
}

#[test]
fn long_names_and_damage_are_refused() {
    let long = archive(|tar| {
        let mut header = Header::new_gnu();
        header.set_size(0);
        tar.append_data(&mut header, "n/".repeat(1_000), &b""[..]).unwrap();
    });
    refused(&long, &Limits::default(), "longer than 1024 bytes");
    let mut cut = file("a");
    cut.truncate(cut.len() / 2);
    refused(&cut, &Limits::default(), "damaged");
    let mut junk = GzEncoder::new(Vec::new(), Compression::fast());
    junk.write_all(&[7; 4096]).unwrap();
    refused(&junk.finish().unwrap(), &Limits::default(), "damaged");
}

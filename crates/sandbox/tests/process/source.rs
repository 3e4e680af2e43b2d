//! Sources on their way into the engine, and an engine that cannot do its work.

use std::path::{Path, PathBuf};

use dispatch_driver::{Engine, Fault};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bed::Bed;

/// An archive of one entry with this name.
fn archive(name: &str, kind: tar::EntryType, link: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    // Written past the checks of `set_path`, as a hostile client would.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn a_hostile_archive_is_refused_and_leaves_nothing() {
    use tar::EntryType::{Block, Regular, Symlink};
    let bed = Bed::new().await;
    let cases = [
        (archive("../handler.py", Regular, ""), "'..'"),
        (archive("/tmp/handler.py", Regular, ""), "absolute"),
        (archive("handler.py", Symlink, "/etc/passwd"), "out of the archive"),
        (archive("handler.py", Block, ""), "device"),
    ];
    for (source, words) in cases {
        let deployment = bed.deployment("python3", source, |_| {});
        let error = bed.engine.build(&deployment).await.unwrap_err();
        assert_eq!((error.fault, error.code), (Fault::Caller, "ENGINE002"), "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    let sources = bed.directory.path().join("state/sources");
    assert_eq!(std::fs::read_dir(sources).unwrap().count(), 0);
}

#[tokio::test]
async fn an_engine_without_sandboxes_says_so_and_runs_nothing() {
    let bed = Bed::unwell(|c| c.init_exe = PathBuf::from("/bin/false")).await;
    let health = bed.engine.health().await;
    assert!(
        !health.ok && health.message.starts_with("Sandboxes cannot be made here"),
        "{health:?}"
    );
    assert!(bed.engine.capabilities().missing.contains(&health.message));
    let deployment = bed.deployment("python3", "def handle(c, p): return 1", |_| {});
    let error = bed.engine.build(&deployment).await.unwrap_err();
    assert_eq!((error.fault, error.code), (Fault::Backend, "ENGINE004"));
    assert!(bed.engine.ensure(&deployment).await.is_err());
}

/// Where the engine could make no group for a limit, a sentence says so; and only there.
#[tokio::test]
async fn what_is_missing_is_said() {
    let bed = Bed::with(|c| c.max_cpus = 1.0).await;
    let missing = bed.engine.capabilities().missing;
    let groups = own_groups(Path::new("/sys/fs/cgroup"));
    for controller in ["memory", "pids", "cpu"] {
        let limits = format!("{controller}.");
        let made = groups.iter().any(|group| names(group).iter().any(|n| n.starts_with(&limits)));
        let said = missing.iter().any(|m| m.contains(&format!("the {controller} controller")));
        assert_ne!(said, made, "{controller}: {missing:?}, {groups:?}");
    }
}

/// The groups that engines of this process made.
fn own_groups(below: &Path) -> Vec<PathBuf> {
    let own = format!("dispatch-{}-", std::process::id());
    let folders = names(below).into_iter().map(|name| below.join(name));
    let folders = folders.filter(|f| f.symlink_metadata().is_ok_and(|m| m.is_dir()));
    let is_own = |f: &Path| f.file_name().unwrap().to_string_lossy().starts_with(&own);
    folders.flat_map(|f| if is_own(&f) { vec![f] } else { own_groups(&f) }).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

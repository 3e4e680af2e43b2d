//! A process that is killed at any moment leaves whole things only; several tasks do each thing
//! once.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dispatch_driver::ImageStore;
use dispatch_images::manifest::{Edits, pack_layer};
use dispatch_images::{Content, Digest, Image};

use super::bed::{Bed, limits};

const DIRECTORY: &str = "DISPATCH_TEST_CONTENT";
const FILES: usize = 40;

async fn image(content: &Content, source: &Path, round: usize) -> Image {
    for file in 0..FILES {
        let text = format!("{round} {file}\n").repeat(500);
        std::fs::write(source.join(file.to_string()), text).unwrap();
    }
    let layer = pack_layer(content, source, Path::new("files"), "test").await.unwrap();
    let empty = Image::empty(content).await.unwrap();
    empty.extend(content, &[layer], &Edits::default()).await.unwrap()
}

/// Run by the test below, in a process that is killed: makes, unpacks and prunes without end.
#[tokio::test]
#[ignore = "goes on until it is killed"]
async fn makes_images_without_end() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let content = Content::open(Path::new(&directory), limits()).unwrap();
    let source = tempfile::tempdir_in(&directory).unwrap();
    for round in 0.. {
        let image = image(&content, source.path(), round).await;
        image.unpack(&content).await.unwrap();
        if round % 3 == 2 {
            content.prune(&[image.digest], Duration::ZERO, false).await.unwrap();
        }
    }
}

/// Everything that has a name is what the name says.
fn check(directory: &Path) -> usize {
    let mut things = 0;
    for blob in std::fs::read_dir(directory.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let digest = Digest::of(&std::fs::read(blob.path()).unwrap());
        assert_eq!(digest.hex(), blob.file_name().to_str().unwrap());
        things += 1;
    }
    for layer in std::fs::read_dir(directory.join("layers")).unwrap() {
        let files = layer.unwrap().path().join("files");
        assert_eq!(std::fs::read_dir(&files).unwrap().count(), FILES, "{}", files.display());
        for file in std::fs::read_dir(&files).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            assert_eq!(text.lines().count(), 500);
        }
        things += 1;
    }
    things
}

#[test]
fn nothing_half_is_left_by_a_process_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("content");
    let mut found = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "oci::killed::makes_images_without_end", "--ignored"])
            .env(DIRECTORY, &at)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Long enough to be in the middle of something, each time of something else.
        let before = Instant::now();
        let deadline = before + Duration::from_secs(30);
        while !at.join("layers").exists() || before.elapsed() < Duration::from_millis(37 * round) {
            assert!(Instant::now() < deadline, "the process does nothing");
            assert!(child.try_wait().unwrap().is_none(), "the process ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        Content::open(&at, limits()).unwrap();
        assert_eq!(std::fs::read_dir(at.join("new")).unwrap().count(), 0);
        found += check(&at);
    }
    assert!(found > 0, "it was never killed late enough to leave anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_want_the_same_get_the_same() {
    let bed = Bed::new();
    let source = bed.path("source");
    std::fs::create_dir(&source).unwrap();
    let image = image(&bed.content, &source, 0).await;
    let tasks = (0..16).map(|_| {
        let (image, content) = (image.clone(), bed.content.clone());
        tokio::spawn(async move {
            content.put(b"the same").await.unwrap();
            image.unpack(&content).await.unwrap()
        })
    });
    let roots = futures::future::join_all(tasks).await;
    let first = roots[0].as_ref().unwrap().clone();
    assert!(roots.into_iter().all(|root| root.unwrap() == first));
    assert_eq!(check(&bed.path("content")), 7, "two images' documents, a layer twice, the blob");
}

/// As if nobody had needed any of it for an hour.
fn age(content: &Path) {
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    let times = std::fs::FileTimes::new().set_modified(long_ago);
    for directory in ["blobs/sha256", "layers"] {
        for thing in std::fs::read_dir(content.join(directory)).unwrap() {
            // What is pruned in this moment cannot be aged any more.
            if let Ok(file) = std::fs::File::open(thing.unwrap().path()) {
                file.set_times(times).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_there_while_others_prune() {
    let bed = Bed::new();
    let (source, at) = (bed.path("source"), bed.path("content"));
    std::fs::create_dir(&source).unwrap();
    let (passes, mut passed) = tokio::sync::watch::channel(0_u64);
    let content = bed.content.clone();
    let pruning = tokio::spawn(async move {
        while !passes.is_closed() {
            content.prune(&[], Duration::from_secs(60), false).await.unwrap();
            passes.send_modify(|pass| *pass += 1);
        }
    });
    let store: &dyn ImageStore = &bed.content;
    for round in 0..20 {
        let image = image(&bed.content, &source, round).await;
        let root = store.root(image.digest.as_str()).await.unwrap();
        age(&at);
        // One pass may have looked before; the second did after.
        let two_more = *passed.borrow() + 2;
        passed.wait_for(|pass| *pass >= two_more).await.unwrap();
        let files = root.layers[0].join("files");
        assert_eq!(std::fs::read_dir(&files).unwrap().count(), FILES);
        store.release(image.digest.as_str());
        let two_more = *passed.borrow() + 2;
        passed.wait_for(|pass| *pass >= two_more).await.unwrap();
        assert!(!files.exists(), "nobody needs it any more");
    }
    drop(passed);
    pruning.await.unwrap();
    let missing = store.root(Digest::of(b"nothing").as_str()).await.unwrap_err();
    assert!(missing.message.contains("is not here"), "{}", missing.message);
    assert!(store.root("nonsense").await.is_err());
}

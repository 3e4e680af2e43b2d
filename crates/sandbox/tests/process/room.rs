//! Commands of the workshop that find no room: they say so, and leave nothing.

use std::fs;
use std::path::Path;

use dispatch_driver::Fault;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::bed::Bed;
use crate::layers::Layer;
use crate::task::{run, task};

const FULL: &str = "No space left on device";

/// A file system that is soon full.
struct Small(tempfile::TempDir);

impl Small {
    /// Nothing where none can be mounted, which is said.
    fn new(mib: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let (size, flags) = (format!("size={mib}m,mode=755"), MsFlags::empty());
        let kind = Some("tmpfs");
        match mount(Some("none"), directory.path(), kind, flags, Some(size.as_str())) {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                println!("could not run: no file system can be mounted here: {error}");
                None
            }
        }
    }

    fn directory(&self, name: &str) -> std::path::PathBuf {
        let directory = self.0.path().join(name);
        fs::create_dir(&directory).unwrap();
        directory
    }

    fn entries(&self) -> Vec<String> {
        names(self.0.path())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let found = fs::read_dir(directory).unwrap().flatten();
    found.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn tasks(bed: &Bed) -> Vec<String> {
    names(&bed.directory.path().join("state/tasks"))
}

/// Fills the file system its changes go to.
async fn fills(overlays: bool) {
    let Some(small) = Small::new(8) else { return };
    let bed = Bed::with(|config| config.overlays = overlays).await;
    let (shell, upper) = (Layer::busybox(), small.directory("upper"));
    let script = "echo begun; mkdir /data && cat /dev/zero > /data/filler";
    let output = run(&bed, task(&[&shell], Some(&upper), &["sh", "-c", script])).await;
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.output.starts_with("begun\n"), "{output:?}");
    assert!(output.output.contains(FULL), "{output:?}");
    assert_eq!((small.entries(), tasks(&bed)), (vec!["upper".to_owned()], Vec::new()));
    // Its owner throws it away, and there is room for the next.
    fs::remove_dir_all(&upper).unwrap();
    let upper = small.directory("upper");
    let next = task(&[&shell], Some(&upper), &["sh", "-c", "echo well > /file && cat /file"]);
    assert_eq!(run(&bed, next).await.output, "well\n");
}

#[tokio::test]
async fn a_full_disk_is_said_by_who_fills_it() {
    fills(true).await;
}

#[tokio::test]
async fn the_same_where_overlays_are_not_allowed() {
    fills(false).await;
}

#[tokio::test]
async fn an_image_that_cannot_even_be_copied_leaves_nothing() {
    let Some(small) = Small::new(1) else { return };
    let bed = Bed::with(|config| config.overlays = false).await;
    let (shell, upper) = (Layer::busybox(), small.directory("upper"));
    let task = task(&[&shell], Some(&upper), &["echo", "never"]);
    let error = bed.engine.workshop().run(task).await.unwrap_err();
    assert_eq!(error.fault, Fault::Backend, "{error}");
    assert!(error.message.contains(FULL), "{error}");
    assert_eq!((small.entries(), tasks(&bed)), (vec!["upper".to_owned()], Vec::new()));
}

#[tokio::test]
async fn outputs_and_the_private_tmp_are_limited_too() {
    let bed = Bed::with(|config| config.task_tmp_mib = 4).await;
    let shell = Layer::busybox();
    let filling = |place: &str| {
        let script = format!("cat /dev/zero > {place}/filler");
        task(&[&shell], None, &["sh", "-c", &script])
    };
    let output = run(&bed, filling("/tmp")).await;
    assert!(output.status != 0 && output.output.contains(FULL), "{output:?}");
    let Some(small) = Small::new(4) else { return };
    let mut outputs = filling("/out");
    outputs.outputs.push((small.directory("out"), "/out".to_owned()));
    let output = run(&bed, outputs).await;
    assert!(output.status != 0 && output.output.contains(FULL), "{output:?}");
    assert_eq!(tasks(&bed), [""; 0]);
}

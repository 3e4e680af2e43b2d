//! The directories a task needs besides its own: removed when it is over.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch_driver::{Error, Result, Task};

use crate::process::apart::apart;
use crate::process::failure;
use crate::process::plan::Upper;
use crate::process::root::Ground;
use crate::process::start::Starter;
use crate::process::tree::{self, changes::Seen};

/// Places in the root the sandbox mounts on.
const PLACES: &[&str] = &["/dev", "/etc", "/proc", "/tmp"];

/// Tries to remove what a killed command is still writing to.
const REMOVALS: u32 = 40;
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);

pub struct Scratch {
    /// The layers and, above them, what the sandbox mounts on: so nothing has to be made in the
    /// root for that, and no trace of it is left in what the command changed.
    layers: Vec<PathBuf>,
    upper: Option<PathBuf>,
    prefixes: Vec<PathBuf>,
    directory: PathBuf,
    /// On the file system of `upper`.
    work: Option<PathBuf>,
    /// Where overlays are not allowed: a copy, and how it was before.
    copy: Option<(PathBuf, Seen)>,
    /// Locked while changes are brought to `upper`, which nobody stops once it has begun.
    given_up: Arc<Mutex<bool>>,
}

impl Scratch {
    pub async fn make(task: &Task, starter: &Starter, overlays: bool) -> Result<Self> {
        let name = uuid::Uuid::new_v4().to_string();
        let directory = starter.config.state_dir.join("tasks").join(&name);
        let beside = |upper: &PathBuf| upper.with_file_name(format!(".{name}.work"));
        let prefixes = starter.hosts.values().flat_map(|host| host.prefixes.clone());
        let work = task.upper.as_ref().filter(|_| !task.layers.is_empty()).map(beside);
        let mut scratch = Self {
            layers: task.layers.clone(),
            upper: task.upper.clone(),
            prefixes: prefixes.collect(),
            directory,
            work,
            copy: None,
            given_up: Arc::default(),
        };
        let (task, owner) = (task.clone(), starter.site.image_owner());
        let made = tokio::task::spawn_blocking(move || {
            let filled = scratch.fill(&task, owner, overlays);
            if filled.is_err() {
                remove(&scratch.take());
            }
            filled.map(|()| scratch)
        });
        made.await.map_err(io::Error::other).and_then(|made| made).map_err(failed)
    }

    fn fill(&mut self, task: &Task, owner: (u32, u32), overlays: bool) -> io::Result<()> {
        fs::create_dir(&self.directory)?;
        for (output, _) in &task.outputs {
            give(output, owner)?;
        }
        if self.layers.is_empty() {
            return Ok(());
        }
        let skeleton = self.directory.join("skeleton");
        fs::create_dir(&skeleton)?;
        let targets = task.inputs.iter().chain(&task.outputs).map(|(_, target)| target.as_str());
        for place in PLACES.iter().copied().chain(targets) {
            self.directories(&skeleton, Path::new(place.trim_start_matches('/')), owner)?;
        }
        fs::write(skeleton.join("etc/hosts"), "")?;
        for (source, target) in task.inputs.iter().filter(|(source, _)| source.is_file()) {
            let place = skeleton.join(target.trim_start_matches('/'));
            fs::remove_dir(&place)?;
            fs::write(&place, "").map_err(|e| at(e, source))?;
        }
        self.layers.push(skeleton);
        if let (Some(upper), Some(work)) = (&self.upper, &self.work) {
            give(upper, owner)?;
            fs::set_permissions(upper, PermissionsExt::from_mode(0o755))?;
            if overlays {
                fs::create_dir(work).map_err(|e| at(e, work))?;
            }
        }
        if !overlays {
            let copy = self.work.clone().unwrap_or(self.directory.join("copy"));
            let seen = tree::changes::copy(&self.layers, &copy)?;
            give(&copy, owner)?;
            self.copy = Some((copy, seen));
        }
        Ok(())
    }

    /// Makes a directory and those above it as the image has them, since what is topmost counts.
    fn directories(&self, skeleton: &Path, path: &Path, owner: (u32, u32)) -> io::Result<()> {
        let above: Vec<_> = path.ancestors().filter(|p| !p.as_os_str().is_empty()).collect();
        for path in above.into_iter().rev() {
            let place = skeleton.join(path);
            if place.exists() {
                continue;
            }
            let below = self.layers.iter().rev().find_map(|layer| layer.join(path).metadata().ok());
            let mode = below.filter(fs::Metadata::is_dir).map_or(0o755, |found| found.mode());
            fs::create_dir(&place)?;
            fs::set_permissions(&place, PermissionsExt::from_mode(mode & 0o1777))?;
            give(&place, owner)?;
        }
        Ok(())
    }

    pub fn ground(&self) -> Ground {
        if let Some((copy, _)) = &self.copy {
            return Ground::Copy(copy.clone(), self.upper.is_some());
        }
        if self.layers.is_empty() {
            return Ground::Machine(self.prefixes.clone());
        }
        let upper = self.upper.clone().zip(self.work.clone());
        let upper = upper.map(|(directory, work)| Upper { directory, work });
        Ground::Layers(self.layers.clone(), upper)
    }

    /// Brings what was changed to where an overlay would have put it.
    pub async fn collect(&mut self) -> Result<()> {
        let (Some((copy, seen)), Some(upper)) = (self.copy.take(), self.upper.clone()) else {
            return Ok(());
        };
        let given_up = self.given_up.clone();
        let moved = tokio::task::spawn_blocking(move || {
            let given_up = given_up.lock().unwrap_or_else(PoisonError::into_inner);
            if *given_up { Ok(()) } else { seen.collect(&copy, &upper) }
        });
        moved.await.map_err(io::Error::other).and_then(|moved| moved).map_err(failed)
    }

    /// Removes it all, when the command has ended.
    pub async fn remove(mut self) {
        let directories = self.take();
        // When that thread panics, the next start of the server removes them.
        let _ = tokio::task::spawn_blocking(move || remove(&directories)).await;
    }

    /// What is to be removed.
    fn take(&mut self) -> Vec<PathBuf> {
        let directory = Some(std::mem::take(&mut self.directory));
        let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
        self.work.take().into_iter().chain(directory).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // From here on `upper` is its owner's.
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let directories = self.take();
        if !directories.is_empty() {
            apart(move || remove(&directories));
        }
    }
}

/// A command that cannot be ended at once may write on for a while.
fn remove(directories: &[PathBuf]) {
    for directory in directories {
        let mut removed = tree::remove(directory);
        for _ in 0..REMOVALS {
            if removed.is_ok() {
                break;
            }
            std::thread::sleep(REMOVAL_PAUSE);
            removed = tree::remove(directory);
        }
        if let Err(error) = removed {
            tracing::warn!(%error, directory = %directory.display(), "not removed");
        }
    }
}

/// To whom commands run as, which only root can and has to do.
fn give(path: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    let found = fs::symlink_metadata(path).map_err(|e| at(e, path))?;
    match found.uid() == uid {
        true => Ok(()),
        false => lchown(path, Some(uid), Some(gid)).map_err(|e| at(e, path)),
    }
}

fn at(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn failed(error: io::Error) -> Error {
    failure::engine("a task's directories", error)
}

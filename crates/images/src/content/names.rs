//! How things get their names and lose them: one at a time, so that nothing is deleted in the
//! moment in which somebody finds it and goes on with it.

use std::fs::{File, FileTimes};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::MutexGuard;
use std::time::SystemTime;

use super::Content;

impl Content {
    /// Held while something gets its name, is found by it or loses it.
    pub(super) fn names(&self) -> MutexGuard<'_, ()> {
        self.0.names.lock().expect("nothing panics while it holds this lock")
    }

    /// Whether something is there; then it counts as new, and whoever prunes leaves it.
    pub(crate) fn found(&self, place: &Path) -> io::Result<bool> {
        let _names = self.names();
        touch(place)
    }

    /// Gives what is complete its name, unless something has it, in which case that is kept.
    ///
    /// `rename` puts it on disk and gives it the name; `made` is what gets it.
    pub(super) fn name(
        &self,
        made: &File,
        place: &Path,
        rename: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        // Before the lock, because it takes long.
        if !place.exists() {
            made.sync_all()?;
        }
        {
            let _names = self.names();
            if touch(place)? {
                return Ok(());
            }
            made.set_times(FileTimes::new().set_modified(SystemTime::now()))?;
            rename(place)?;
        }
        // The name too is to survive a loss of power.
        File::open(place.parent().unwrap_or(Path::new("/")))?.sync_all()
    }
}

fn touch(place: &Path) -> io::Result<bool> {
    match File::open(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(file) => {
            file.set_times(FileTimes::new().set_modified(SystemTime::now()))?;
            Ok(true)
        }
    }
}

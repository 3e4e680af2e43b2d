//! A command while it runs.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::process::worker::Worker;

/// A killed command is gone within milliseconds, unless the kernel waits for a disk.
const DEATH_WAIT: Duration = Duration::from_secs(1);

/// Ends with all its processes before it is dropped: whoever gave up the task throws away `upper`
/// next, where nothing must write any more.
pub struct Running(pub Worker);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end(DEATH_WAIT);
    }
}

impl Deref for Running {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Worker {
        &mut self.0
    }
}

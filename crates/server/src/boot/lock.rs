//! One server for one data directory.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Held as long as the server lives; the kernel lets go of it when the process ends, however.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Said aloud: a child that has not begun its program yet has the file open, too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Makes the data directory, readable for its user only, and takes its lock.
pub fn lock(data_dir: &Path) -> Result<Lock> {
    let shown = data_dir.display();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("the data directory {shown} cannot be made"))?;
    let mut options = File::options();
    let path = data_dir.join("lock");
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number only helps; without it the message is still true.
            let _ = file.read_to_string(&mut pid);
            bail!(
                "another dispatch-server (process {}) uses the data directory {shown}; stop it, \
                 or give this one another --data-dir",
                pid.trim()
            );
        }
        Err(TryLockError::Error(error)) => return Err(error).context("the lock cannot be taken"),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let error = lock(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        let in_a_child = held.0.try_clone().unwrap();
        drop(held);
        assert!(lock(dir.path()).is_ok());
        drop(in_a_child);
    }
}

//! Mounts an overlay.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::process::plan::Upper;

/// Mounts the layers, the lowest first in the list, and what takes the changes over them.
///
/// Directories are named by descriptors: the kernel takes a page of options, in which their paths
/// have no room, and a path may hold the characters that separate them.
pub fn mount(layers: &[impl AsRef<Path>], upper: Option<&Upper>, target: &str) -> io::Result<()> {
    let opened: Vec<File> =
        layers.iter().map(|layer| open(layer.as_ref())).collect::<Result<_, _>>()?;
    let lower: Vec<String> = opened.iter().rev().map(place).collect();
    let mut options = format!("userxattr,lowerdir={}", lower.join(":"));
    let Some(upper) = upper else { return attach(target, MsFlags::MS_RDONLY, &options) };
    let (directory, work) = (open(&upper.directory)?, open(&upper.work)?);
    options += &format!(",upperdir={},workdir={}", place(&directory), place(&work));
    // A change that was not finished is thrown away, so there is no need to wait for the disk.
    match attach(target, MsFlags::empty(), &format!("{options},volatile")) {
        // Kernels before 5.10 do not know the word.
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
            attach(target, MsFlags::empty(), &options)
        }
        other => other,
    }
}

fn attach(target: &str, flags: MsFlags, options: &str) -> io::Result<()> {
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(nix::mount::mount(Some("overlay"), target, Some("overlay"), flags, Some(options))?)
}

fn open(directory: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let opened = File::options().read(true).custom_flags(flags).open(directory);
    opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", directory.display())))
}

fn place(directory: &File) -> String {
    format!("/proc/self/fd/{}", directory.as_raw_fd())
}

//! How a process ended that is another's child: kernels from 6.15 on tell who holds its pidfd.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// `_IOWR(0xff, 11, struct pidfd_info)` for the structure's first version, of 64 bytes.
const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` of linux/pidfd.h, in its first version.
#[repr(C)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    /// Process, parent, users and groups: of no interest here.
    ids: [u32; 11],
    exit_code: i32,
}

/// The status of a process that has ended and was waited for; nothing on an older kernel.
#[allow(unsafe_code)]
pub fn of(process: &OwnedFd) -> Option<ExitStatus> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, cgroup: 0, ids: [0; 11], exit_code: 0 };
    // SAFETY: the number says how long the structure is, which outlives the call.
    let done = unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    let known = done == 0 && info.mask & PIDFD_INFO_EXIT != 0;
    known.then(|| ExitStatus::from_raw(info.exit_code))
}

//! Capabilities of the sandbox's process, and of everything it will start.

use std::io;

/// Keeps those of the mask, in the bounding set too, and gives up all others.
#[allow(unsafe_code)]
pub fn keep(mask: u64) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    for capability in (0..64).filter(|number| mask & 1 << number == 0) {
        // SAFETY: takes plain numbers. It fails at the first number the kernel does not know.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
    let (low, high) = (mask as u32, (mask >> 32) as u32);
    let header = [VERSION_3, 0];
    // Effective, permitted and inheritable, first of the lower numbers.
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: header and sets have the layout of version 3 and outlive the call.
    super::check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })
        .map(drop)
}

//! Landlock: read everything the root shows, write only the worker's own places.

use super::plan::{Landlock, LandlockRule};

// Access rights of `linux/landlock.h`, in their order.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEVICE: u64 = 1 << 15;
/// The newest version whose rules are used.
pub const NEWEST: i64 = 6;
/// Abstract unix sockets and signals stay inside the worker.
const SCOPED: u64 = 0b11;

/// The kernel's version of the interface; 0 where there is none.
#[allow(unsafe_code)]
pub fn version() -> i64 {
    const VERSION: u32 = 1;
    // SAFETY: with a null rule set, size 0 and this flag the call only returns a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION)
    };
    version.max(0)
}

/// Rules for a kernel of this version, or nothing where it has none.
pub fn rules(version: i64) -> Option<Landlock> {
    let handled = match version {
        ..1 => return None,
        1 => REFER - 1,
        2 => TRUNCATE - 1,
        3 | 4 => IOCTL_DEVICE - 1,
        _ => (IOCTL_DEVICE << 1) - 1,
    };
    let rule = |path: &str, access: u64| LandlockRule { path: path.to_owned(), access };
    let read = EXECUTE | READ_FILE | READ_DIR;
    let device = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEVICE;
    let mut rules = vec![rule("/", read), rule("/tmp", handled)];
    rules.extend(super::root::DEVICES.iter().map(|d| rule(d, device & handled)));
    let (size, scoped) = match version {
        ..4 => (8, 0),
        4 | 5 => (16, 0),
        _ => (24, SCOPED),
    };
    Some(Landlock { handled, scoped, size, rules })
}

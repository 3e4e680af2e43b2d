//! Carries out single steps of a plan, in a process with one thread.

mod capability;
mod overlay;

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};

use super::plan::{Landlock, Step};

/// Does one step; `Spawn` and `Listen` are its caller's, who knows what they need.
pub fn apply(step: &Step) -> io::Result<()> {
    match step {
        Step::Spawn { .. } | Step::Listen { .. } => Err(io::ErrorKind::Unsupported.into()),
        Step::Batch => batch(),
        Step::Unshare { flags } => Ok(nix::sched::unshare(CloneFlags::from_bits_retain(*flags))?),
        Step::IdMap { uid, gid } => id_map((*uid, *uid), (*gid, *gid)),
        Step::RootMap { uid, gid } => id_map((0, *uid), (0, *gid)),
        Step::Overlay { layers, upper, target } => overlay::mount(layers, upper.as_ref(), target),
        Step::Mount { source, target, kind, flags, data } => Ok(mount(
            source.as_deref(),
            target.as_str(),
            kind.as_deref(),
            MsFlags::from_bits_retain(*flags),
            data.as_deref(),
        )?),
        Step::Attributes { target, flags, recursive } => attributes(target, *flags, *recursive),
        Step::Directory { path } => {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
        }
        Step::File { path, text } => file(path, text),
        Step::Symlink { path, target } => symlink(path, target),
        Step::Unlink { path } => std::fs::remove_file(path),
        Step::Pivot { root } => pivot(root),
        Step::Identity { uid, gid } => identity(*uid, *gid),
        Step::Hostname { name } => Ok(nix::unistd::sethostname(name)?),
        Step::Loopback => loopback(),
        Step::Netlink { request } => netlink(&bytes_of(request)?),
        Step::Rlimit { resource, limit } => rlimit(*resource, *limit),
        Step::NoNewPrivileges => Ok(nix::sys::prctl::set_no_new_privs()?),
        Step::DropCapabilities => capability::keep(0),
        Step::KeepCapabilities { mask } => capability::keep(*mask),
        Step::Landlock(rules) => landlock(rules),
        Step::Seccomp { program } => seccomp(program),
        Step::ChangeDirectory { path } => std::env::set_current_dir(path),
    }
}

#[allow(unsafe_code)]
fn batch() -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads one structure, which is there; 0 is this process.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// One user and one group: (inside, outside).
fn id_map(uid: (u32, u32), gid: (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{} {} 1", uid.0, uid.1))?;
    std::fs::write("/proc/self/gid_map", format!("{} {} 1", gid.0, gid.1))
}

fn parent(path: &str) -> io::Result<()> {
    match std::path::Path::new(path).parent() {
        Some(parent) => std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent),
        None => Ok(()),
    }
}

fn file(path: &str, text: &str) -> io::Result<()> {
    use io::Write;
    parent(path)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())
}

fn symlink(path: &str, target: &str) -> io::Result<()> {
    parent(path)?;
    std::os::unix::fs::symlink(target, path)
}

fn pivot(root: &str) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    // Both at the same place stacks the old root over the new one, from where it is let go.
    nix::unistd::pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

fn identity(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    // The change made /proc/self root's; the user's own id maps are written there.
    Ok(nix::sys::prctl::set_dumpable(true)?)
}

#[allow(unsafe_code)]
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[allow(unsafe_code)]
fn attributes(target: &str, flags: u64, recursive: bool) -> io::Result<()> {
    let target = CString::new(target)?;
    let attributes =
        libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let size = size_of::<libc::mount_attr>();
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let call = libc::SYS_mount_setattr;
    // SAFETY: the path ends in NUL and the structure is of the size given; both outlive the call.
    let done =
        unsafe { libc::syscall(call, -1, target.as_ptr(), recursive, &raw const attributes, size) };
    check(done).map(drop)
}

#[allow(unsafe_code)]
fn loopback() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")
        .or_else(|_| std::net::UdpSocket::bind("0.0.0.0:0"))?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open and the request outlives the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(done.into()).map(drop)
}

/// Sends a request that asks for an acknowledgement, and waits for that.
fn netlink(request: &[u8]) -> io::Result<()> {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};
    // Without a protocol it is NETLINK_ROUTE.
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    rustix::net::send(&socket, request, SendFlags::empty())?;
    let mut answer = [0; 512];
    let (length, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    // struct nlmsgerr after struct nlmsghdr: 0, or the number of an error below it.
    let error = answer[..length].get(16..20).ok_or(io::ErrorKind::UnexpectedEof)?;
    match i32::from_ne_bytes(error.try_into().expect("four bytes are four bytes")) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

fn bytes_of(hexadecimal: &str) -> io::Result<Vec<u8>> {
    let wrong = || io::Error::other("the step is not hexadecimal");
    let byte = |at: usize| {
        let digits = hexadecimal.get(at..at + 2).ok_or_else(wrong)?;
        u8::from_str_radix(digits, 16).map_err(|_| wrong())
    };
    (0..hexadecimal.len()).step_by(2).map(byte).collect()
}

#[allow(unsafe_code)]
fn rlimit(resource: u32, limit: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain numbers and a structure that outlives the call.
    check(unsafe { libc::getrlimit(resource, &raw mut now) }.into())?;
    // Without privileges a limit can only go down.
    let limit = limit.min(now.rlim_max);
    now = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(resource, &raw const now) }.into()).map(drop)
}

#[allow(unsafe_code)]
fn landlock(rules: &Landlock) -> io::Result<()> {
    const PATH_BENEATH: u32 = 1;
    let attributes = [rules.handled, 0, rules.scoped];
    // SAFETY: three u64 are the structure's layout; `size` is not above theirs.
    let set = check(unsafe {
        let create = libc::SYS_landlock_create_ruleset;
        libc::syscall(create, attributes.as_ptr(), rules.size.min(24), 0)
    })?;
    for rule in &rules.rules {
        let mut options = std::fs::OpenOptions::new();
        let opened =
            options.read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(&rule.path);
        let Ok(place) = opened else { continue };
        // The kernel's structure is packed: eight bytes of rights, four of descriptor.
        let beneath =
            [&rule.access.to_ne_bytes()[..], &place.as_raw_fd().to_ne_bytes()[..]].concat();
        // SAFETY: twelve bytes are the packed structure; it and the descriptor outlive the call.
        check(unsafe {
            let add = libc::SYS_landlock_add_rule;
            libc::syscall(add, set, PATH_BENEATH, beneath.as_ptr(), 0)
        })?;
    }
    // SAFETY: takes plain numbers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, set, 0) })?;
    // SAFETY: the descriptor was made above and nobody else knows it.
    check(unsafe { libc::close(set as i32) }.into()).map(drop)
}

#[allow(unsafe_code)]
fn seccomp(program: &str) -> io::Result<()> {
    let filter: Vec<libc::sock_filter> = bytes_of(program)?
        .chunks_exact(8)
        .map(|b| libc::sock_filter {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        })
        .collect();
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program points at `filter`, which outlives the call; the kernel copies it.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }.into()).map(drop)
}

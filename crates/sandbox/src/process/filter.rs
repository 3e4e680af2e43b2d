//! The seccomp programs: of all workers, a list of system calls no handler needs; of commands that
//! build images, nearly the same and what answers them as if they were root.
//!
//! Denied calls fail with EPERM, so that programs that probe for them go on. Calls of another
//! architecture (32-bit, x32) fail too: their numbers would dodge the list.

use libc::{c_long, sock_filter};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Bit that marks calls of the x32 interface.
const X32: u32 = 0x4000_0000;

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;
const THIRD_ARGUMENT: u32 = 32;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const NEW_NAMESPACE: u32 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u32;

const DENIED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Calls that are answered as done, and do nothing: there is one user only, so an owner cannot be
/// changed, and nobody else can be become. Package managers want both and stop when they fail.
const ANSWERED: &[c_long] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
];

/// The program of workers in hexadecimal, as [`super::plan::Step::Seccomp`] carries it.
pub fn program() -> String {
    hexadecimal(&instructions())
}

/// The program of commands that build images.
pub fn task_program() -> String {
    hexadecimal(&task_instructions())
}

fn hexadecimal(program: &[sock_filter]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for i in program {
        let [a, b] = i.code.to_ne_bytes();
        let bytes = [&[a, b, i.jt, i.jf][..], &i.k.to_ne_bytes()].concat();
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    text
}

fn instructions() -> Vec<sock_filter> {
    let mut program = head();
    refuse(&mut program, DENIED.iter().copied());
    program
}

fn task_instructions() -> Vec<sock_filter> {
    let mut program = head();
    for number in ANSWERED {
        program.extend([jump(EQUAL, *number as u32, 0, 1), fail(0)]);
    }
    // Devices are not made; pipes and sockets are.
    let calls = [
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_mknod, SECOND_ARGUMENT),
        (libc::SYS_mknodat, THIRD_ARGUMENT),
    ];
    for (number, mode) in calls {
        program.extend([
            jump(EQUAL, number as u32, 0, 6),
            load(mode),
            sock_filter { code: AND, jt: 0, jf: 0, k: libc::S_IFMT },
            jump(EQUAL, libc::S_IFCHR, 1, 0),
            jump(EQUAL, libc::S_IFBLK, 0, 1),
            fail(0),
            allow(),
        ]);
    }
    // Scripts of packages are run below a root of their own.
    refuse(&mut program, DENIED.iter().copied().filter(|call| *call != libc::SYS_chroot));
    program
}

/// Leaves the call's number loaded.
fn head() -> Vec<sock_filter> {
    vec![
        load(ARCH),
        jump(EQUAL, ARCHITECTURE, 1, 0),
        fail(libc::EPERM),
        load(NUMBER),
        jump(AT_LEAST, X32, 0, 1),
        fail(libc::EPERM),
    ]
}

fn refuse(program: &mut Vec<sock_filter>, calls: impl Iterator<Item = c_long>) {
    for number in calls {
        program.extend([jump(EQUAL, number as u32, 0, 1), fail(libc::EPERM)]);
    }
    // glibc falls back to `clone`, whose flags a filter can read.
    program.extend([jump(EQUAL, libc::SYS_clone3 as u32, 0, 1), fail(libc::ENOSYS)]);
    program.extend([
        jump(EQUAL, libc::SYS_clone as u32, 0, 4),
        load(FIRST_ARGUMENT),
        jump(ANY_BIT, NEW_NAMESPACE, 0, 1),
        fail(libc::EPERM),
        allow(),
    ]);
    // TIOCSTI and TIOCLINUX put characters into a terminal's input.
    program.extend([
        jump(EQUAL, libc::SYS_ioctl as u32, 0, 4),
        load(SECOND_ARGUMENT),
        jump(EQUAL, libc::TIOCSTI as u32, 1, 0),
        jump(EQUAL, libc::TIOCLINUX as u32, 0, 1),
        fail(libc::EPERM),
        allow(),
    ]);
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn fail(errno: i32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | errno as u32 }
}

fn allow() -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would, for one call.
    fn verdict(arch: u32, number: u32, arguments: [u32; 2]) -> u32 {
        run(&instructions(), arch, number, arguments)
    }

    fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u32; 2]) -> u32 {
        let (mut at, mut loaded) = (0, 0);
        loop {
            let i = program[at];
            at += 1;
            let taken = match i.code {
                RETURN => return i.k,
                AND => {
                    loaded &= i.k;
                    continue;
                }
                LOAD => {
                    loaded = match i.k {
                        NUMBER => number,
                        ARCH => arch,
                        FIRST_ARGUMENT => arguments[0],
                        _ => arguments[1],
                    };
                    continue;
                }
                EQUAL => loaded == i.k,
                AT_LEAST => loaded >= i.k,
                _ => loaded & i.k != 0,
            };
            at += usize::from(if taken { i.jt } else { i.jf });
        }
    }

    #[test]
    fn denies_the_list_and_allows_the_rest() {
        let errno = |n: i32| libc::SECCOMP_RET_ERRNO | n as u32;
        for number in DENIED {
            assert_eq!(verdict(ARCHITECTURE, *number as u32, [0, 0]), errno(libc::EPERM));
        }
        for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_socket, libc::SYS_futex] {
            assert_eq!(verdict(ARCHITECTURE, number as u32, [0, 0]), libc::SECCOMP_RET_ALLOW);
        }
        assert_eq!(verdict(0x4000_0003, 0, [0, 0]), errno(libc::EPERM));
        assert_eq!(verdict(ARCHITECTURE, X32 + 1, [0, 0]), errno(libc::EPERM));
    }

    #[test]
    fn commands_are_answered_as_root() {
        let program = task_instructions();
        let verdict =
            |number: c_long, second| run(&program, ARCHITECTURE, number as u32, [0, second]);
        let done = libc::SECCOMP_RET_ERRNO;
        for number in ANSWERED {
            assert_eq!(verdict(*number, 0), done);
        }
        let (device, pipe) = (libc::S_IFBLK | 0o600, libc::S_IFIFO | 0o600);
        assert_eq!(verdict(libc::SYS_mknodat, device), done);
        assert_eq!(verdict(libc::SYS_mknodat, pipe), libc::SECCOMP_RET_ALLOW);
        assert_eq!(verdict(libc::SYS_chroot, 0), libc::SECCOMP_RET_ALLOW);
        assert_eq!(verdict(libc::SYS_mount, 0), done | libc::EPERM as u32);
    }

    #[test]
    fn clone_may_make_threads_but_no_namespaces() {
        let clone = libc::SYS_clone as u32;
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD) as u32;
        assert_eq!(verdict(ARCHITECTURE, clone, [thread, 0]), libc::SECCOMP_RET_ALLOW);
        let user = libc::CLONE_NEWUSER as u32;
        assert_ne!(verdict(ARCHITECTURE, clone, [user, 0]), libc::SECCOMP_RET_ALLOW);
    }
}

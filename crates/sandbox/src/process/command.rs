//! Process 1 of a task: starts its command, waits for whatever ends, and says how the command did.

use std::convert::Infallible;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::frame;

/// What a shell says of a program that is not there, and of one that cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

/// Runs the command to its end. What it left behind ends with this process.
#[allow(unsafe_code)]
pub fn run(command: &[String], environment: &[(String, String)]) -> Result<Infallible, String> {
    // SAFETY: the plan's executor put the socket at 3, and nothing else owns it.
    let server = unsafe { OwnedFd::from_raw_fd(3) };
    let private = rustix::io::fcntl_setfd(&server, rustix::io::FdFlags::CLOEXEC);
    private.map_err(|e| e.to_string())?;
    super::bridge::hide_binary()?;
    say(server.as_fd(), frame::HELLO, &[]);
    let status = status_of(command, environment);
    say(server.as_fd(), frame::RESULT, &status.to_le_bytes());
    std::process::exit(0);
}

fn status_of(command: &[String], environment: &[(String, String)]) -> i32 {
    let (program, arguments) = command.split_first().expect("the workshop checks this");
    let mut started = Command::new(program);
    started.args(arguments).env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
    // A signal to the command's group must not reach this process.
    started.process_group(0);
    match started.spawn() {
        Ok(child) => wait_for(Pid::from_raw(child.id() as i32)),
        Err(error) => {
            // Into the output, which is all that is seen of a command that fails.
            let _ = writeln!(std::io::stderr(), "{program}: {error}");
            if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }
        }
    }
}

/// The status for a program that is not there or is none; nothing when it is for another reason
/// that it cannot be run.
pub fn status_without(error: &std::io::Error) -> Option<i32> {
    match error.raw_os_error()? {
        libc::ENOENT | libc::ENOTDIR => Some(NOT_FOUND),
        libc::EACCES | libc::EISDIR | libc::ELIBBAD | libc::ELOOP | libc::ENOEXEC => Some(NOT_RUN),
        _ => None,
    }
}

/// Orphans end up here too.
fn wait_for(child: Pid) -> i32 {
    loop {
        match waitpid(None, None::<WaitPidFlag>) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return 128 + signal as i32,
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return NOT_RUN,
        }
    }
}

fn say(server: BorrowedFd<'_>, kind: u8, body: &[u8]) {
    // When nobody listens there is nobody to tell.
    let _ = rustix::io::write(server, &frame::encode(kind, body));
}

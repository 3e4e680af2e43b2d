//! `__sandbox-init`: this binary re-executed to carry out a plan, before any thread exists.
//!
//! It reads one [`Launch`] from its standard input, a SOCK_SEQPACKET socket. The process that was
//! started stays outside as the supervisor: it ends the sandbox when the other end of that socket
//! closes, so no worker outlives the server, however the server ends.

use std::convert::Infallible;
use std::io::{self, IoSliceMut, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sched::CloneFlags;
use nix::sys::socket::{MsgFlags, recvmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::plan::{Launch, Program, Step};
use super::{bridge, command, frame, network, steps};

/// The argument that makes a binary an init process.
pub const ARGUMENT: &str = "__sandbox-init";

/// Largest launch message.
pub const MAX_LAUNCH_BYTES: usize = 128 << 10;

/// The descriptor a worker finds its socket at.
const WORKER_SOCKET: RawFd = 3;

/// Becomes an init process when the arguments say so; otherwise returns. Must be the first thing
/// `main` does: a process with threads cannot enter namespaces.
pub fn maybe_run_init() {
    if std::env::args_os().nth(1).is_some_and(|a| a == ARGUMENT) {
        init_main();
    }
}

/// The whole life of an init process.
pub fn init_main() -> ! {
    let code = match run() {
        Ok(never) => match never {},
        Err(Stop { reason: None, .. }) => 0,
        Err(Stop { reason: Some(reason), report }) => {
            tell(report.as_ref(), &reason);
            1
        }
    };
    std::process::exit(code);
}

/// Why an init process ends before it became something else.
struct Stop {
    reason: Option<String>,
    report: Option<OwnedFd>,
}

impl Stop {
    fn new(reason: impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), report: None }
    }
}

fn run() -> Result<Infallible, Stop> {
    let (launch, mut descriptors) = receive().map_err(Stop::new)?;
    let streams = match descriptors.len() {
        0 => None,
        n if n >= 3 => Some(descriptors.drain(..3).collect::<Vec<_>>()),
        n => return Err(Stop::new(format!("{n} descriptors came with the launch"))),
    };
    let failed = |reason: String| {
        let report = streams.as_ref().and_then(|s| s[0].try_clone().ok());
        Stop { reason: Some(reason), report }
    };
    for step in &launch.steps {
        let done = match step {
            Step::Spawn { flags } => spawn(*flags, streams.is_some(), &mut descriptors),
            Step::Listen { at } => hand_over(at, streams.as_deref()),
            other => steps::apply(other),
        };
        done.map_err(|e| failed(format!("{step:?}: {e}")))?;
    }
    if let Some(streams) = &streams {
        install(streams).map_err(|e| failed(format!("descriptors: {e}")))?;
    }
    match &launch.program {
        Program::Bridge => bridge::run(&launch.environment).map_err(failed),
        Program::Command(words) => command::run(words, &launch.environment).map_err(failed),
        Program::Exec(arguments) => {
            let error = exec(arguments, &launch.environment);
            let reason = format!("{}: {error}", arguments[0]);
            match command::status_without(&error) {
                // The sandbox is there. What is wrong with the program is said as it would itself.
                Some(status) => {
                    let _ = writeln!(io::stderr(), "{reason}");
                    std::process::exit(status)
                }
                None => Err(failed(reason)),
            }
        }
    }
}

/// Goes on in a child, in new namespaces and the cgroups whose files came along; the caller stays
/// as its supervisor and never returns.
#[allow(unsafe_code)]
fn spawn(flags: i32, watched: bool, cgroups: &mut Vec<OwnedFd>) -> io::Result<()> {
    nix::sched::unshare(CloneFlags::from_bits_retain(flags))?;
    // SAFETY: the process has one thread, so the child may do anything after the fork.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => join(cgroups),
        ForkResult::Parent { child } => supervise(child, watched),
    }
}

fn hand_over(at: &[SocketAddr], streams: Option<&[OwnedFd]>) -> io::Result<()> {
    let streams = streams.ok_or(io::ErrorKind::Unsupported)?;
    network::hand_over(streams[0].as_fd(), &network::listen(at)?)
}

/// Waits for the sandbox, and ends it when the server is gone.
fn supervise(child: Pid, watched: bool) -> ! {
    if watched {
        let pid = rustix::process::Pid::from_raw(child.as_raw()).expect("a child's id is not 0");
        let flags = rustix::process::PidfdFlags::empty();
        if let Ok(process) = rustix::process::pidfd_open(pid, flags) {
            let stdin = std::io::stdin();
            let mut wait = [
                PollFd::new(process.as_fd(), PollFlags::POLLIN),
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            ];
            while nix::poll::poll(&mut wait, PollTimeout::NONE) == Err(nix::Error::EINTR) {}
        }
        // The only write to that socket was the launch, so anything here means "stop".
        let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
    }
    let code = match waitpid(child, None::<WaitPidFlag>) {
        Ok(WaitStatus::Exited(_, code)) => code,
        Ok(WaitStatus::Signaled(_, signal, _)) => 128 + signal as i32,
        _ => 1,
    };
    std::process::exit(code);
}

/// Joins the cgroups whose files came along; `0` is the writer itself.
fn join(files: &mut Vec<OwnedFd>) -> io::Result<()> {
    let join = |file| std::fs::File::from(file).write_all(b"0");
    let joined = files.drain(..).try_for_each(join);
    joined.map_err(|e| io::Error::new(e.kind(), format!("cgroup: {e}")))
}

fn receive() -> Result<(Launch, Vec<OwnedFd>), String> {
    let stdin = std::io::stdin();
    let mut bytes = vec![0; MAX_LAUNCH_BYTES];
    let mut space = nix::cmsg_space!([RawFd; 16]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stdin.as_raw_fd(), &mut parts, Some(&mut space), flags)
        .map_err(|e| format!("launch: {e}"))?;
    let length = message.bytes;
    let mut descriptors = Vec::new();
    for control in message.cmsgs().map_err(|e| format!("launch: {e}"))? {
        descriptors.extend(network::received(&control));
    }
    let launch = serde_json::from_slice(&bytes[..length]).map_err(|e| format!("launch: {e}"))?;
    Ok((launch, descriptors))
}

/// Puts the worker's streams where programs expect them: 0 null, 1 and 2 logs, 3 the socket.
#[allow(unsafe_code)]
fn install(streams: &[OwnedFd]) -> io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    // Above all targets first, so that no copy overwrites another one's source.
    let mut sources = Vec::new();
    for fd in [null.as_fd(), streams[1].as_fd(), streams[2].as_fd(), streams[0].as_fd()] {
        sources.push(rustix::io::fcntl_dupfd_cloexec(fd, WORKER_SOCKET + 1)?);
    }
    for (target, source) in sources.iter().enumerate() {
        // SAFETY: dup2 takes plain numbers. What it replaces at 0 to 3 is the standard streams,
        // which Rust never closes, and at 3 at most a descriptor this process is done with.
        if unsafe { libc::dup2(source.as_raw_fd(), target as RawFd) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

fn exec(arguments: &[String], environment: &[(String, String)]) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(&arguments[0]);
    command.args(&arguments[1..]).env_clear();
    command.envs(environment.iter().map(|(k, v)| (k, v)));
    command.exec()
}

/// Says why to whoever waits: on the worker's socket as a frame, else on the control socket.
#[allow(unsafe_code)]
fn tell(report: Option<&OwnedFd>, reason: &str) {
    let _ = match report {
        Some(socket) => {
            let frame = frame::encode(frame::START_FAILED, reason.as_bytes());
            rustix::io::write(socket, &frame)
        }
        // SAFETY: standard input stays open for the life of the process.
        None => rustix::io::write(unsafe { BorrowedFd::borrow_raw(0) }, reason.as_bytes()),
    };
}

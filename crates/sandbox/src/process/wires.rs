//! What connects a worker with the server: a socket, and a pipe for each of its output streams.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::RecvFlags;

/// The server's ends.
#[derive(Debug)]
pub struct Wires {
    pub socket: UnixStream,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

impl Wires {
    /// Our ends, and the worker's: socket, standard output, standard error.
    pub fn new() -> io::Result<(Self, Vec<OwnedFd>)> {
        let (socket, worker) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        // Messages from the worker tell which process it is.
        setsockopt(&socket, sockopt::PassCred, &true)?;
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (stdout, worker_out) = rustix::pipe::pipe_with(flags)?;
        let (stderr, worker_err) = rustix::pipe::pipe_with(flags)?;
        for pipe in [&stdout, &stderr] {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok((Self { socket, stdout, stderr }, vec![worker.into(), worker_out, worker_err]))
    }

    /// Whether the other end is there and has said nothing yet.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0; 1];
        let peeked = rustix::net::recv(&self.socket, &mut byte, RecvFlags::PEEK);
        matches!(peeked, Err(rustix::io::Errno::WOULDBLOCK))
    }
}

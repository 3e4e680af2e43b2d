//! The socket to an init process or a pool: launches go out on it, with descriptors.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::init::ARGUMENT;

/// How long an init process may take to end after its socket was closed.
const STATUS_WAIT: Duration = Duration::from_millis(500);

/// Ends the sandbox at its other end when it is dropped.
#[derive(Debug)]
pub struct Control {
    socket: AsyncFd<OwnedFd>,
    /// Reaps the init process.
    init: Option<JoinHandle<Option<i32>>>,
}

impl Control {
    /// Starts an init process, which waits for its launch. Its standard error is that of a pool.
    #[allow(unsafe_code)]
    pub fn start(init: &Path, stderr: Stdio) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let flags = rustix::fs::fcntl_getfl(&ours)? | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&ours, flags)?;
        let mut command = tokio::process::Command::new(init);
        command.arg(ARGUMENT).env_clear().stdin(theirs).stdout(Stdio::null()).stderr(stderr);
        let mut child = command.spawn()?;
        // Only reaps it: it ends by itself when the socket is closed.
        let init = tokio::spawn(async move { child.wait().await.ok()?.code() });
        // SAFETY: an owned descriptor stays the same and open for as long as it is registered.
        Ok(Self { socket: unsafe { AsyncFd::register(ours)? }, init: Some(init) })
    }

    /// Ends the sandbox, and waits until everything in it is gone, or for so long.
    pub fn end(&self, limit: Duration) {
        // Its init process takes that for our end, and stays until its sandbox is gone.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        let ends = Instant::now() + limit;
        // Nothing is asked for but the other end's closing, which always shows.
        let mut wait = [PollFd::new(self.socket.get_ref().as_fd(), PollFlags::empty())];
        loop {
            let left = ends.saturating_duration_since(Instant::now()).as_millis();
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if nix::poll::poll(&mut wait, left) != Err(nix::Error::EINTR) {
                return;
            }
        }
    }

    /// The status of what ran in the sandbox, or 128 and the number of the signal that ended it.
    /// Nothing when that cannot be known; to be asked once, when the other end is gone.
    pub async fn status(&mut self) -> Option<i32> {
        let init = self.init.take()?;
        timeout(STATUS_WAIT, init).await.ok()?.ok()?
    }

    pub async fn send(&self, message: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &rights[..0] } else { &rights[..] };
        let sent = self.socket.async_io(Interest::WRITABLE, |socket| {
            let parts = [IoSlice::new(message)];
            let flags = MsgFlags::MSG_NOSIGNAL;
            Ok(sendmsg::<()>(socket.as_raw_fd(), &parts, rights, flags, None)?)
        });
        sent.await.map(drop)
    }

    /// The next message from the other end; empty when it is gone.
    pub async fn receive(&self) -> io::Result<Vec<u8>> {
        let received = self.socket.async_io(Interest::READABLE, |socket| {
            let mut buffer = vec![0; 16 << 10];
            let length = rustix::io::read(socket, &mut buffer)?;
            buffer.truncate(length);
            Ok(buffer)
        });
        received.await
    }
}

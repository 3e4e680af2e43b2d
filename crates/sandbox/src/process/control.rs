//! The socket to an init process or a pool: launches go out on it, with descriptors.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Stdio;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::init::ARGUMENT;

/// Ends the sandbox at its other end when it is dropped.
#[derive(Debug)]
pub struct Control {
    socket: AsyncFd<OwnedFd>,
}

impl Control {
    /// Starts an init process, which waits for its launch.
    #[allow(unsafe_code)]
    pub fn start(init: &Path) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let flags = rustix::fs::fcntl_getfl(&ours)? | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&ours, flags)?;
        let mut command = tokio::process::Command::new(init);
        command.arg(ARGUMENT).env_clear().stdin(Stdio::from(theirs)).stdout(Stdio::null());
        let mut child = command.spawn()?;
        // Only reaps it: it ends by itself when the socket is closed.
        tokio::spawn(async move { child.wait().await });
        // SAFETY: an owned descriptor stays the same and open for as long as it is registered.
        Ok(Self { socket: unsafe { AsyncFd::register(ours)? } })
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

//! Listening sockets on their way from a worker's namespace to the server.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, sendmsg};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::process::frame;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// More than a function has entries, less than the kernel hands over in one message.
const MAX_LISTENERS: usize = 128;

/// Opens one listening socket for each place.
pub fn listen(at: &[SocketAddr]) -> io::Result<Vec<OwnedFd>> {
    at.iter().map(listener).collect()
}

fn listener(place: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if place.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if place.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, place)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Sends the sockets over the worker's own, ahead of its first message.
pub fn hand_over(socket: BorrowedFd<'_>, listeners: &[OwnedFd]) -> io::Result<()> {
    let raw: Vec<RawFd> = listeners.iter().map(AsRawFd::as_raw_fd).collect();
    let frame = frame::encode(frame::LISTENING, &[]);
    let (parts, rights) = ([IoSlice::new(&frame)], [ControlMessage::ScmRights(&raw)]);
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &parts, &rights, flags, None)?;
    Ok(())
}

/// Room for what comes with a worker's first messages: who sent it, and listening sockets.
pub fn space() -> Vec<u8> {
    nix::cmsg_space!(nix::sys::socket::UnixCredentials, [RawFd; MAX_LISTENERS])
}

/// The sockets that came with a message, if this is the part that holds them.
#[allow(unsafe_code)]
pub fn received(part: &ControlMessageOwned) -> Vec<OwnedFd> {
    let ControlMessageOwned::ScmRights(raw) = part else { return Vec::new() };
    // SAFETY: the kernel just made these descriptors for this message; nobody else knows them.
    raw.iter().map(|&raw| unsafe { OwnedFd::from_raw_fd(raw) }).collect()
}

/// The request (rtnetlink's RTM_NEWADDR) that gives loopback one more address, in hexadecimal.
pub fn new_address(address: IpAddr) -> String {
    const NEW_ADDRESS: u16 = 20;
    const REQUEST_ACK_CREATE: u16 = 0x1 | 0x4 | 0x400;
    const LOCAL: u16 = 2;
    /// No search for others who have the address.
    const NO_DETECTION: u8 = 2;
    const HOST: u8 = 254;
    /// Loopback is the first interface of every namespace.
    const LOOPBACK: u32 = 1;
    let (family, bytes) = match address {
        IpAddr::V4(v4) => (libc::AF_INET as u8, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6 as u8, v6.octets().to_vec()),
    };
    let attribute = 4 + bytes.len() as u16;
    let length = 16 + 8 + u32::from(attribute);
    let mut request = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, port.
    request.extend(length.to_ne_bytes());
    request.extend(NEW_ADDRESS.to_ne_bytes());
    request.extend(REQUEST_ACK_CREATE.to_ne_bytes());
    request.extend([0; 8]);
    // struct ifaddrmsg: family, prefix length, flags, scope, interface.
    request.extend([family, bytes.len() as u8 * 8, NO_DETECTION, HOST]);
    request.extend(LOOPBACK.to_ne_bytes());
    // struct rtattr: length, type.
    request.extend(attribute.to_ne_bytes());
    request.extend(LOCAL.to_ne_bytes());
    request.extend(bytes);
    request.iter().map(|byte| format!("{byte:02x}")).collect()
}
